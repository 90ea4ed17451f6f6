/** Where alertmanager.yml of a stack is kept: in clear only where nothing in it is secret. */
import { parse } from 'yaml'
import { BadDataError } from '#core/errors.ts'
import { credentialsInClear } from './clear-credentials.ts'
import type { SecretSpec } from './release.ts'
import type { Engine, Stack } from './stack.ts'

export type AlertingPlan =
  | { kind: 'none' }
  | { kind: 'clear'; config: string }
  | { kind: 'secret'; secret: SecretSpec; key: string }

/** VictoriaMetrics' operator reads this key and no other. */
const keys: Readonly<Record<Engine, string>> = {
  tercet: 'alertmanager.yml',
  victoria: 'alertmanager.yaml',
  lgtm: 'alertmanager.yml',
}
const secretName = 'alertmanager-config'

/** Throws BadDataError where the configuration is no YAML, or the named Secret can't be read by the engine. */
export function alertingOf(stack: Stack): AlertingPlan {
  const { config, secret } = stack.alerting
  if (secret !== undefined) {
    const key = secret.key === '' ? keys[stack.engine] : secret.key
    if (stack.engine === 'victoria' && key !== keys.victoria)
      throw new BadDataError(
        `alerting.secret.key is ${JSON.stringify(key)}; VMAlertmanager reads the key ${keys.victoria} alone`,
      )
    return { kind: 'secret', key, secret: { name: secret.name, keys: [key] } }
  }
  if (config === '') return { kind: 'none' }
  const key = keys[stack.engine]
  if (credentialsInClear(parsed(config)).length === 0) return { kind: 'clear', config }
  return { kind: 'secret', key, secret: { name: secretName, keys: [key], content: { [key]: config } } }
}

function parsed(config: string): unknown {
  try {
    return parse(config) as unknown
  } catch (error) {
    throw new BadDataError(`alerting.alertmanager_config is no YAML: ${(error as Error).message}`)
  }
}
