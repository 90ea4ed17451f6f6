/**
 * Which settings hold a credential: by their names in the configurations of Prometheus, Alertmanager and in values of
 * charts. Source: their public documentation, where such a setting is called `<secret>`.
 */

const secretNames = /(^|_)(pass(word|wd|phrase)|token(_id)?|credentials|api_?key)$/
const secretKeyNames = /(^|_)(secret|secret_access|private|routing|service|user)_key$/
const sharedSecretNames = /(^|_)(client|api|auth|app|shared|webhook)_secret$/
/** Addresses that are a credential themselves: who knows them may post. */
const secretUrlName = /(^|_)(slack_api_url|webhook_url|incoming_webhook_url)$/
/** Receivers of Alertmanager of which `api_url` or `url` is such an address. */
const secretUrlReceivers: Readonly<Record<string, string>> = {
  slack_configs: 'api_url',
  rocketchat_configs: 'api_url',
  webhook_configs: 'url',
  incidentio_configs: 'url',
}

/** `adminPassword`, `admin-password` and `admin.password` are `admin_password`. */
export function snakeCase(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, '$1_$2')
    .replaceAll(/[-.]/g, '_')
    .toLowerCase()
}

/** In any place: `smtp_auth_password`, `secretAccessKey`. */
export function isSecretName(name: string): boolean {
  const words = snakeCase(name)
  const isNamed = secretNames.test(words) || secretKeyNames.test(words)
  return isNamed || sharedSecretNames.test(words) || secretUrlName.test(words)
}

/** In its section: the address of a receiver, a private key, a header's values. `path`: names, the innermost last. */
export function isSecretPlace(path: readonly string[]): boolean {
  const name = path.at(-1) ?? ''
  const owner = path.at(-2) ?? ''
  return (
    secretUrlReceivers[owner] === name ||
    (name === 'key' && /(^|_)tls_config$/.test(snakeCase(owner))) ||
    (name === 'secrets' && path.at(-3) === 'http_headers')
  )
}
