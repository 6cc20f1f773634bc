/** The family of a `User-Agent`: browser and system without their versions, so that an update changes nothing. */

/** In this order: most browsers also claim to be the ones below them. */
const browsers: readonly (readonly [RegExp, string])[] = [
  [/\bEdg(?:e|A|iOS)?\//, 'Edge'],
  [/\bOPR\/|\bOpera\b/, 'Opera'],
  [/\bSamsungBrowser\//, 'Samsung Internet'],
  [/\bFirefox\/|\bFxiOS\//, 'Firefox'],
  [/\bChrom(?:e|ium)\/|\bCriOS\//, 'Chrome'],
  [/\bSafari\//, 'Safari'],
]

const systems: readonly (readonly [RegExp, string])[] = [
  [/\bWindows\b/, 'Windows'],
  [/\biPhone\b/, 'iPhone'],
  [/\biPad\b/, 'iPad'],
  [/\bAndroid\b/, 'Android'],
  [/\bCrOS\b/, 'ChromeOS'],
  [/\bMac OS X\b|\bMacintosh\b/, 'macOS'],
  [/\bLinux\b|\bX11\b/, 'Linux'],
]

/** Such as `Firefox on Linux`; the name of the program for what is no browser, such as `curl`. */
export function agentFamily(agent: string): string {
  const browser = named(browsers, agent) ?? /^[A-Za-z][\w .-]{0,40}/.exec(agent)?.[0].trim() ?? 'unknown'
  const system = named(systems, agent)
  return system === undefined ? browser : `${browser} on ${system}`
}

function named(families: readonly (readonly [RegExp, string])[], agent: string): string | undefined {
  return families.find(([form]) => form.test(agent))?.[1]
}
