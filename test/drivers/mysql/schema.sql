CREATE TABLE `holdfast_labels` (
  `namespace` varbinary(32) NOT NULL,
  `collection` varbinary(32) NOT NULL,
  `label` varbinary(233) NOT NULL,
  `id` varbinary(120) NOT NULL,
  PRIMARY KEY (`namespace`,`collection`,`label`,`id`)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

CREATE TABLE `holdfast_records` (
  `namespace` varbinary(32) NOT NULL,
  `collection` varbinary(32) NOT NULL,
  `id` varbinary(120) NOT NULL,
  `version` varbinary(64) NOT NULL,
  `labels` mediumblob NOT NULL,
  `expires_at` bigint(20) NOT NULL,
  `touched_at` bigint(20) NOT NULL,
  `bucket` bigint(20) NOT NULL,
  `value` mediumblob NOT NULL,
  PRIMARY KEY (`namespace`,`collection`,`id`),
  KEY `holdfast_records_by_expiry` (`namespace`,`expires_at`),
  KEY `holdfast_records_by_bucket` (`namespace`,`bucket`)
) ENGINE=InnoDB ROW_FORMAT=DYNAMIC;

CREATE TABLE `holdfast_schema` (
  `step` int(11) NOT NULL,
  `needs` int(11) NOT NULL,
  PRIMARY KEY (`step`)
) ENGINE=InnoDB;
