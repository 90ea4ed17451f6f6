/**
 * The file of `tenants_file`: limits and retention of single tenants, under the names that the configuration has for
 * them. `*` stands for those that are not named, and for what those that are do not set.
 */
import { BadDataError, messageOf } from '#core/errors.ts'
import type { Files } from '#core/files.ts'
import type { OverridesTable, TenantOverrides } from '#core/overrides.ts'
import { checkTenantName } from '#core/tenant-name.ts'
import { quote } from '#core/text.ts'
import { parseSettings, type Setting } from '#lang/settings/section.ts'
import { Config, problemOf } from './config.ts'
import type { OptionName } from './options.ts'

/** By key of the configuration: what it sets. A limit of 0 means what it means there. */
const keys = {
  'limits.active_series': config => ({ activeSeriesMax: config.number('limits.active_series') }),
  'limits.log_streams': config => ({ logStreamsMax: config.number('limits.log_streams') }),
  'limits.log_rate': config => ({ logRateBytes: config.bytes('limits.log_rate') || Infinity }),
  'limits.live_traces': config => ({ liveTracesMax: config.number('limits.live_traces') }),
  'limits.trace_size': config => ({ traceBytesMax: config.bytes('limits.trace_size') }),
  'limits.query_samples': config => ({ querySamplesMax: config.number('limits.query_samples') }),
  'limits.rule_groups': config => ({ ruleGroupsMax: config.number('limits.rule_groups') }),
  'metrics.retention': config => ({ retentionMs: { metrics: config.durationMs('metrics.retention') } }),
  'logs.retention': config => ({ retentionMs: { logs: config.durationMs('logs.retention') } }),
  'traces.retention': config => ({ retentionMs: { traces: config.durationMs('traces.retention') } }),
} as const satisfies Partial<Record<OptionName, (config: Config) => TenantOverrides>>

type OverridableKey = keyof typeof keys
export const overridableKeys = Object.keys(keys) as readonly OverridableKey[]

const others = '*'

/** Throws BadDataError with file, line and column. */
export function parseTenants(text: string, file: string): OverridesTable {
  const root = parseSettings(text, file, null).section()
  const overrides = root.get('overrides')
  root.finish()
  const read = (overrides?.entries() ?? []).map(([name, setting]) => [name, readTenant(name, setting)] as const)
  const common = new Map(read).get(others) ?? {}
  const tenants = read.filter(([name]) => name !== others).map(([name, own]) => [name, merged(common, own)] as const)
  return { tenants: new Map(tenants), others: common }
}

function merged(first: TenantOverrides, second: TenantOverrides): TenantOverrides {
  const retentionMs = { ...first.retentionMs, ...second.retentionMs }
  return { ...first, ...second, ...(Object.keys(retentionMs).length === 0 ? {} : { retentionMs }) }
}

function readTenant(name: string, setting: Setting): TenantOverrides {
  try {
    if (name !== others) checkTenantName(name)
  } catch (error) {
    setting.refuse(messageOf(error))
  }
  const found = new Map<OverridableKey, string>()
  collect(setting, '', found)
  let overrides: TenantOverrides = {}
  const config = new Config(found, new Map(), [])
  for (const key of found.keys()) overrides = merged(overrides, keys[key](config))
  return overrides
}

/** `limits.log_rate: 1MB`, or `limits: { log_rate: 1MB }`. */
function collect(setting: Setting, prefix: string, found: Map<OverridableKey, string>): void {
  for (const [name, value] of setting.entries()) {
    const key = prefix + name
    if (value.isSection) {
      collect(value, `${key}.`, found)
      continue
    }
    const known =
      overridableKeys.find(one => one === key) ??
      value.refuse(`unknown key; of one tenant there can be ${overridableKeys.join(', ')}`)
    if (found.has(known)) value.refuse(`${quote(known)} stands twice`)
    const problem = problemOf(known, value.text())
    if (problem !== undefined) value.refuse(problem)
    found.set(known, value.text())
  }
}

/** Undefined where the configuration names no file. Throws BadDataError. */
export async function readTenants(
  config: Config,
  files: Files,
): Promise<{ text: string; table: OverridesTable } | undefined> {
  const path = config.text('tenants_file')
  if (path === '') return undefined
  if (config.text('tenancy') !== 'on') throw new BadDataError(`${config.placeOf('tenants_file')}: it needs tenancy: on`)
  let text: string
  try {
    text = Buffer.from(await files.read(path)).toString('utf8')
  } catch (error) {
    throw new BadDataError(`tenants_file: ${path} can't be read: ${messageOf(error)}`, { cause: error })
  }
  return { text, table: parseTenants(text, path) }
}
