/**
 * Variables of the environment that begin with TERCET_: keys of the configuration, what Kubernetes makes for Services,
 * and unknown ones.
 */
import { closeOf } from '#core/nearest.ts'
import { optionNames, type OptionName } from './options.ts'

export type Environment = Readonly<Record<string, string | undefined>>

/** `metrics.retention` is TERCET_METRICS_RETENTION. */
function variableOf(option: string): string {
  return `TERCET_${option.toUpperCase().replaceAll('.', '_')}`
}

const optionOfVariable: ReadonlyMap<string, OptionName> = new Map(optionNames.map(name => [variableOf(name), name]))

/**
 * Kubernetes makes these in every pod of a namespace for each Service that is called `tercet` or `tercet-...`
 * (enableServiceLinks), Docker for links of containers.
 */
function isServiceLink(name: string, value: string): boolean {
  if (/^TERCET(_[A-Z0-9_]+)?_SERVICE_HOST$/.test(name)) return true
  if (/^TERCET(_[A-Z0-9_]+)?_SERVICE_PORT(_[A-Z0-9_]+)?$/.test(name)) return /^\d+$/.test(value)
  if (/^TERCET(_[A-Z0-9_]+)?_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name)) return true
  return /^TERCET(_[A-Z0-9_]+)?_PORT$/.test(name) && /^(tcp|udp|sctp):\/\//.test(value)
}

/** Those that `tercet record` gives to a command, which may start a Tercet of its own. */
const handedVariables: ReadonlySet<string> = new Set(['TERCET_URL', 'TERCET_REMOTE_WRITE_URL', 'TERCET_LOKI_PUSH_URL'])

export interface FoundVariables {
  /** Those that are keys. */
  keys: { option: OptionName; variable: string; value: string }[]
  /** A sentence for each that is neither a key nor made for a Service. */
  warnings: string[]
}

export function findVariables(environment: Environment): FoundVariables {
  const found: FoundVariables = { keys: [], warnings: [] }
  for (const [variable, value] of Object.entries(environment)) {
    if (!variable.startsWith('TERCET_') || value === undefined || handedVariables.has(variable)) continue
    const option = optionOfVariable.get(variable)
    if (option !== undefined) found.keys.push({ option, variable, value })
    else if (!isServiceLink(variable, value)) found.warnings.push(unknownVariable(variable))
  }
  return found
}

function unknownVariable(variable: string): string {
  const close = closeOf(variable, [...optionOfVariable.keys()])
  const hint = close === undefined ? '' : `; the nearest is ${close}`
  return `environment variable ${variable} is no key and has no effect${hint}`
}
