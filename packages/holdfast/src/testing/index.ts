/** What helps to test stores, and programs that use them. Needs no test runner of its own: it is passed in. */

export { type FakeClock, fakeClock, type FakeClockOptions } from './clock.ts'
export { storeSuite, type StoreSuiteOptions, type SuiteRunner, type SuiteStoreOptions } from './suite.ts'
export {
  type DriverCall,
  type Ending,
  type Fault,
  type FaultOptions,
  type FaultPlan,
  type FaultRule,
  type FaultyDriver,
  type Gate,
  type OperationName,
  seededPlan,
  type SeededPlan,
  withFaults,
} from './faults.ts'
export {
  type FastCheck,
  type ModelledStore,
  ModelFailure,
  type ModelWorld,
  storeModel,
  type StoreModelOptions,
} from './model.ts'
export {
  type Exploration,
  type ExploreOptions,
  exploreSchedules,
  replaySchedule,
  type Scenario,
  type ScenarioMaker,
  ScheduleFailure,
  type ScheduledFault,
  type TaskEnd,
  type World,
} from './schedule.ts'
export {
  type Answered,
  type Asked,
  type Served,
  type WebApp,
  webSuite,
  type WebStore,
  type WebSuiteOptions,
} from './web-suite.ts'
