/**
 * Credentials that stand in clear in configurations: of receivers of alerts, scrape jobs, remote write, values of
 * charts, variables and flags of containers, and in texts within them.
 */
import { parseAllDocuments } from 'yaml'
import { isCredentialName } from '#core/secret.ts'
import { isSecretName, isSecretPlace } from '#lang/settings/secret-names.ts'

/**
 * `${NAME}`, `$NAME`, `$(NAME)`, `%{NAME}`, `$__file{…}`, `{{ … }}`, `<placeholder>`, NAME of a variable or key, and
 * what sops has encrypted.
 */
const referenceForms: readonly RegExp[] = [
  /^(?:\$\{[^}]*\}|\$\([^)]*\)|%\{[^}]*\}|\$[A-Za-z_]\w*|\$__\w+\{.*\})$/,
  /^(?:\{\{.*\}\}|<[^>]*>|ENC\[.*\]|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)$/,
]
const isReference = (text: string): boolean => referenceForms.some(form => form.test(text))

/** Nothing, or what is no credential. */
const switchForm = /^(auto|true|false|on|off|none|default|enabled|disabled)?$/i

/** What is a credential wherever it stands: private keys, and tokens that say of whom they are. */
const knownForms: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
  /\bAGE-SECRET-KEY-1[0-9A-Z]{10,}/,
  /\b(?:xox[abeprs]|xapp|glpat|github_pat)[-_][0-9A-Za-z_-]{10,}/,
  /\bgh[oprsu]_[0-9A-Za-z]{20,}/,
  /^(?:Bearer|Basic|Token|GenieKey) +[^\s$%{<][^\s]{5,}$/,
]

/** Addresses that are a credential wherever they stand. */
const knownAddresses: readonly RegExp[] = [
  /^https?:\/\/hooks\.slack(?:-gov)?\.com\/./,
  /^https?:\/\/(?:\w+\.)?discord(?:app)?\.com\/api\/webhooks\/./,
  /^https?:\/\/[^/]*(?:webhook\.office\.com|outlook\.office(?:365)?\.com)\/webhook/,
  /^https?:\/\/api\.telegram\.org\/bot[^/${%]/,
  /^https?:\/\/hooks\.zapier\.com\/./,
  /^https?:\/\/events\.pagerduty\.com\/integration\/./,
  /^https?:\/\/ntfy\.sh\/./,
  /^https?:\/\/(?:hc-ping\.com|hchk\.io)\/./,
  /^https?:\/\/[^/]*\/(?:open-apis\/bot|hooks)\/[^/]*\/?[0-9a-zA-Z]{10,}/,
]

/** The same for a text that is no YAML, or YAML with templates: each of its lines for itself. */
export function credentialsInLines(text: string): string[] {
  const found: string[] = []
  walkLines(text, [], [], found)
  return [...new Set(found.map(name => (name === '' ? 'a line' : name)))]
}

/** Paths of the values in clear, like `receivers.0.slack_configs.0.api_url`. */
export function credentialsInClear(value: unknown): string[] {
  const found: string[] = []
  walk(value, [], [], found)
  return [...new Set(found)]
}

/** `names`: the path without the places of lists. */
function walk(value: unknown, path: readonly string[], names: readonly string[], found: string[]): void {
  if (Array.isArray(value)) {
    walkList(value as unknown[], path, names, found)
    return
  }
  if (typeof value === 'object' && value !== null && !(value instanceof Uint8Array)) {
    const map = value as Readonly<Record<string, unknown>>
    for (const [name, child] of Object.entries(map)) walk(child, [...path, name], [...names, name], found)
    // A variable of a container.
    if (typeof map['name'] === 'string' && isPlain(map['value']))
      walk(map['value'], [...path, 'value'], [...names, map['name']], found)
    return
  }
  if (!isPlain(value)) return
  const text = value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : String(value)
  if (isCredential(text, names)) found.push(path.join('.'))
  else if (typeof value === 'string') walkText(text, path, names, found)
}

/** A number may be a password; a switch is none. */
function isPlain(value: unknown): value is string | number | bigint | Uint8Array {
  return (
    typeof value === 'string' || typeof value === 'number' || typeof value === 'bigint' || value instanceof Uint8Array
  )
}

function walkList(list: readonly unknown[], path: readonly string[], names: readonly string[], found: string[]): void {
  let flag = ''
  for (const [i, item] of list.entries()) {
    const own = [...path, String(i)]
    walk(item, own, names, found)
    // `--password hunter2`: the flag's value is the next argument.
    if (flag !== '' && isPlain(item) && !String(item).startsWith('-')) walk(item, own, [...names, flag], found)
    const argument = typeof item === 'string' ? /^--?([A-Za-z][\w.-]*)(?:=(.*))?$/s.exec(item) : null
    flag = argument !== null && argument[2] === undefined ? argument[1]! : ''
    const [, name, text] =
      argument?.[2] === undefined
        ? (/^([A-Za-z_]\w*)=(.*)$/s.exec(typeof item === 'string' ? item : '') ?? [])
        : argument
    if (name !== undefined && text !== undefined) walk(text, own, [...names, name], found)
  }
}

/** A file within a value, as ConfigMaps have them: YAML, JSON, or lines of `name = value`. */
function walkText(text: string, path: readonly string[], names: readonly string[], found: string[]): void {
  const isFile = text.includes('\n') || /^\s*[[{]/.test(text)
  if (!isFile) return
  const values = yamlIn(text)
  for (const value of values ?? []) walk(value, path, [], found)
  if (values === undefined) walkLines(text, path, names, found)
}

/** What can't be parsed, since it has templates or another form: each line for itself. */
function walkLines(text: string, path: readonly string[], names: readonly string[], found: string[]): void {
  if (knownForms.some(form => form.test(text))) found.push(path.join('.'))
  for (const line of text.split('\n')) {
    const [, name = '', quoted = ''] =
      /^[\s-]*(?:export\s+)?["']?([A-Za-z_][\w.-]*)["']?\s*[:=]\s*(.*?)\s*$/.exec(line) ?? []
    const value = quoted.replace(/^(["'])(.*)\1,?$/, '$2')
    if (name !== '' && isCredential(value, [...names, name])) found.push([...path, name].join('.'))
    else if (hasAddressWithCredential(line)) found.push(path.join('.'))
  }
}

function isCredential(value: string, names: readonly string[]): boolean {
  const name = names.at(-1) ?? ''
  const text = value.trim()
  // In charts' values it is the name of a key in a Secret.
  if (name === 'userKey' || isNameOfSecret(names) || switchForm.test(text) || isReference(text)) return false
  if (isSecretName(name)) return true
  if (knownForms.some(form => form.test(text)) && !text.includes('\n{')) return true
  if (!text.includes('\n') && hasAddressWithCredential(text)) return true
  if (!isSecretPlace(names)) return false
  return names.at(-2) !== 'webhook_configs' || hasTokenInPath(text)
}

/** The key of stack.yaml that names a Secret. */
function isNameOfSecret(names: readonly string[]): boolean {
  return names.length === 1 && names[0] === 'auth_secret'
}

/** In any address of a text. */
function hasAddressWithCredential(text: string): boolean {
  for (const [address] of text.matchAll(/\b[a-z][a-z0-9+.-]*:\/\/[^\s"'`<>,]+/gi)) {
    if (hasUser(address) || hasSecretParameter(address)) return true
    if (knownAddresses.some(form => form.test(address))) return true
  }
  return false
}

/** `https://user:password@host`, or `https://token@host`; a user alone is no secret of SSH. */
function hasUser(address: string): boolean {
  const [, scheme = '', user] = /^([a-z][a-z0-9+.-]*):\/\/([^\s/?#]*)@/i.exec(address) ?? []
  if (user === undefined) return false
  const colon = user.indexOf(':')
  if (colon < 0) return /^https?$/i.test(scheme) && !isReference(user) && user.length >= 8
  const password = user.slice(colon + 1)
  return password !== '' && !isReference(password)
}

/** A parameter like `?token=…`. */
function hasSecretParameter(address: string): boolean {
  return [...address.matchAll(/[?&;]([^=?&#]+)=([^&#]*)/g)].some(
    ([, name = '', value = '']) => isCredentialName(name) && value.length >= 3 && !isReference(value),
  )
}

/** A part of the path that nobody types: of letters and digits, or long. */
function hasTokenInPath(url: string): boolean {
  return url
    .replace(/^[a-z]+:\/\/[^/]*/i, '')
    .split(/[/?&=]/)
    .some(part => part.length >= 12 && /\d/.test(part) && /[a-z]/i.test(part))
}

/** Undefined where the text is no YAML, or a text alone. */
function yamlIn(text: string): unknown[] | undefined {
  try {
    const documents = parseAllDocuments(text, { logLevel: 'silent' })
    if (!Array.isArray(documents) || documents.some(document => document.errors.length > 0)) return undefined
    const values = documents.map(document => document.toJS() as unknown)
    return values.every(value => typeof value === 'object') ? values : undefined
  } catch {
    return undefined
  }
}
