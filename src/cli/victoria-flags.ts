/** Flags of VictoriaMetrics, with one dash, that deployments carry along. */
import { BadDataError } from '#core/errors.ts'

const keyOfFlag: ReadonlyMap<string, string> = new Map([
  ['retentionPeriod', 'metrics.retention'],
  ['storageDataPath', 'data_dir'],
  ['httpListenAddr', 'listen.http'],
  ['promscrape.config', 'scrape_config_file'],
  ['loggerFormat', 'log.format'],
  ['loggerLevel', 'log.level'],
])

/** As a key of the configuration, `key=value`. Throws BadDataError. */
export function victoriaFlag(name: string, given: string | undefined): string {
  const key = keyOfFlag.get(name)
  const value = given ?? 'true'
  if (key === undefined)
    throw new BadDataError(
      `unknown flag -${name}; options begin with two dashes, ` +
        `and of VictoriaMetrics' own -${[...keyOfFlag.keys()].join(', -')} are known`,
    )
  // A number alone means months there.
  if (name === 'retentionPeriod' && /^\d+$/.test(value)) return `${key}=${Number(value) * 31}d`
  return `${key}=${name.startsWith('logger') ? value.toLowerCase() : value}`
}
