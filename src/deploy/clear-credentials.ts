/**
 * Credentials that stand in clear in configurations: of receivers of alerts, scrape jobs, remote write, values of
 * charts, and texts of YAML within them.
 */
import { parse } from 'yaml'

/** Names that hold a credential, in snake case. */
const secretNames =
  /(^|_)(pass(word|wd|phrase)|token|credentials|api_?key|(secret|secret_access|private|routing|service|user)_key)$/
const sharedSecretNames = /(^|_)(client|api|auth|app|shared|webhook)_secret$/
/** Addresses that are a credential themselves: who knows them may post. */
const secretUrlName = /(^|_)(slack_api_url|webhook_url|incoming_webhook_url)$/
/** Receivers of Alertmanager of which `api_url` or `url` is such an address. */
const secretUrlReceivers: Readonly<Record<string, string>> = {
  slack_configs: 'api_url',
  rocketchat_configs: 'api_url',
  webhook_configs: 'url',
}

/**
 * `${NAME}`, `$NAME`, `$(NAME)`, `%{NAME}`, `$__file{…}`, `{{ … }}`, `<placeholder>`, NAME of a variable or key, and
 * what sops has encrypted.
 */
const referenceForm = /^(\$\{|\$\(|%\{|\$[A-Za-z_]|\{\{|<[^>]*>$|ENC\[|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$)/

/** Nothing, or what is no credential. */
const switchForm = /^(auto|true|false|on|off|none|default|enabled|disabled)?$/i

/** Paths of the values in clear, like `receivers.0.slack_configs.0.api_url`. */
export function credentialsInClear(value: unknown): string[] {
  const found: string[] = []
  walk(value, [], '', found)
  return found
}

/** `list`: the name of the list that the value stands in. */
function walk(value: unknown, path: readonly string[], list: string, found: string[]): void {
  if (typeof value === 'string') {
    if (isCredential(value, path.at(-1) ?? '', list)) found.push(path.join('.'))
    else if (value.includes('\n') && value.includes(':')) walk(yamlIn(value), path, '', found)
    return
  }
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) walk(item, [...path, String(i)], path.at(-1) ?? '', found)
    return
  }
  if (typeof value !== 'object' || value === null) return
  for (const [name, child] of Object.entries(value)) walk(child, [...path, name], list, found)
}

function isCredential(value: string, name: string, list: string): boolean {
  // In charts' values it is the name of a key in a Secret.
  if (name === 'userKey' || switchForm.test(value) || referenceForm.test(value)) return false
  const words = name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll('-', '_')
    .toLowerCase()
  if (secretNames.test(words) || sharedSecretNames.test(words) || secretUrlName.test(words)) return true
  if (hasPassword(value)) return true
  return secretUrlReceivers[list] === name && (list !== 'webhook_configs' || hasTokenInPath(value))
}

/** `https://user:password@host`. */
function hasPassword(value: string): boolean {
  const [, password] = /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@]*:([^\s/@]+)@/i.exec(value) ?? []
  return password !== undefined && !referenceForm.test(password)
}

/** A parameter like `?token=…`, or a part of the path that nobody types: long, of letters and digits. */
function hasTokenInPath(url: string): boolean {
  return (
    /[?&](token|key|secret|sig|code|apikey)=[^&$%{]/i.test(url) ||
    url
      .replace(/^[a-z]+:\/\/[^/]*/i, '')
      .split(/[/?&=]/)
      .some(part => part.length >= 20 && /\d/.test(part) && /[a-z]/i.test(part))
  )
}

/** Undefined where the text is no YAML, or a text alone. */
function yamlIn(text: string): unknown {
  try {
    const value = parse(text) as unknown
    return typeof value === 'object' ? value : undefined
  } catch {
    return undefined
  }
}
