/** Flags of VictoriaMetrics, with one dash, that deployments carry along, and the variables that stand for them. */
import { problemOf } from '#app/config.ts'
import type { Environment } from '#app/environment.ts'
import { isOptionName } from '#app/options.ts'
import { BadDataError } from '#core/errors.ts'

const keyOfFlag: ReadonlyMap<string, string> = new Map([
  ['retentionPeriod', 'metrics.retention'],
  ['storageDataPath', 'data_dir'],
  ['httpListenAddr', 'listen.http'],
  ['promscrape.config', 'scrape_config_file'],
  ['loggerFormat', 'log.format'],
  ['loggerLevel', 'log.level'],
])

/** Flags that say whether, and by which names, variables of the environment are flags. */
const environmentFlags = ['envflag.enable', 'envflag.prefix']

export function isEnvironmentFlag(name: string): boolean {
  return environmentFlags.includes(name)
}

/**
 * What variables say, as keys of the configuration, `key=value`: `VM_promscrape_config` with the prefix `VM_`. Others
 * that begin so are not looked at, as VictoriaMetrics has it. Throws BadDataError for a value that does not fit.
 */
export function flagsOfEnvironment(environment: Environment, prefix: string): string[] {
  return [...keyOfFlag.keys()].flatMap(flag => {
    const variable = `${prefix}${flag.replaceAll('.', '_')}`
    const value = environment[variable]
    if (value === undefined) return []
    const setting = victoriaFlag(flag, value)
    refuseMisfit(variable, setting)
    return [setting]
  })
}

function refuseMisfit(variable: string, setting: string): void {
  const equals = setting.indexOf('=')
  const key = setting.slice(0, equals)
  const problem = isOptionName(key) ? problemOf(key, setting.slice(equals + 1)) : undefined
  if (problem !== undefined) throw new BadDataError(`environment variable ${variable}: ${key}: ${problem}`)
}

/** As a key of the configuration, `key=value`. Throws BadDataError. */
export function victoriaFlag(name: string, given: string | undefined): string {
  const key = keyOfFlag.get(name)
  const value = given ?? 'true'
  if (key === undefined)
    throw new BadDataError(
      `unknown flag -${name}; options begin with two dashes, ` +
        `and of VictoriaMetrics' own -${[...keyOfFlag.keys(), ...environmentFlags].join(', -')} are known`,
    )
  // A number alone means months there.
  if (name === 'retentionPeriod' && /^\d+$/.test(value)) return `${key}=${Number(value) * 31}d`
  return `${key}=${name.startsWith('logger') ? value.toLowerCase() : value}`
}
