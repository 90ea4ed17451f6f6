/**
 * How to reach somebody over HTTP, as Prometheus' configuration files say it (http_config, and inline in
 * scrape_configs).
 */
import { Secret } from '#core/secret.ts'
import type { Section } from './section.ts'

export interface TlsSettings {
  ca: Secret
  cert: Secret
  key: Secret
  serverName: string
  isUnverified: boolean
  minVersion: string
  maxVersion: string
}
export interface Oauth2Settings {
  clientId: string
  clientSecret: Secret
  tokenUrl: string
  scopes: string[]
  endpointParams: [string, string][]
  client: HttpClientSettings
}

export interface HttpClientSettings {
  basicAuth: { username: Secret; password: Secret } | undefined
  authorization: { type: string; credentials: Secret } | undefined
  oauth2: Oauth2Settings | undefined
  tls: TlsSettings | undefined
  proxyUrl: string
  noProxy: string
  proxyFromEnvironment: boolean
  followRedirects: boolean
  headers: [string, Secret[]][]
  /** A Unix socket that requests go to. */
  socketPath?: string | undefined
}

export const plainClient: HttpClientSettings = {
  basicAuth: undefined,
  authorization: undefined,
  oauth2: undefined,
  tls: undefined,
  proxyUrl: '',
  noProxy: '',
  proxyFromEnvironment: false,
  followRedirects: true,
  headers: [],
}

const tlsVersions = ['TLS10', 'TLS11', 'TLS12', 'TLS13']

export function secret(section: Section, name: string): Secret {
  const found = new Secret(section.text(name), section.text(`${name}_file`))
  if (found.reveal() !== '' && found.file !== '')
    section.refuse(`at most one of ${name} and ${name}_file must be configured`)
  return found
}
function readTls(section: Section): TlsSettings {
  const tls: TlsSettings = {
    ca: secret(section, 'ca'),
    cert: secret(section, 'cert'),
    key: secret(section, 'key'),
    serverName: section.text('server_name'),
    isUnverified: section.isOn('insecure_skip_verify', false),
    minVersion: section.text('min_version'),
    maxVersion: section.text('max_version'),
  }
  for (const version of [tls.minVersion, tls.maxVersion])
    if (version !== '' && !tlsVersions.includes(version))
      section.refuse(`unknown TLS version: ${version}; ${tlsVersions.join(', ')} are known`)
  if (tls.cert.isSet !== tls.key.isSet)
    section.refuse('a certificate and its key go together: exactly one of them is configured')
  section.finish()
  return tls
}

function readOauth2(section: Section): Oauth2Settings {
  const oauth2: Oauth2Settings = {
    clientId: section.text('client_id'),
    clientSecret: secret(section, 'client_secret'),
    tokenUrl: section.text('token_url'),
    scopes: section.texts('scopes'),
    endpointParams: section.textMap('endpoint_params'),
    client: {
      ...plainClient,
      tls: ((tls): TlsSettings | undefined => (tls === undefined ? undefined : readTls(tls)))(
        section.section('tls_config'),
      ),
      proxyUrl: section.text('proxy_url'),
      noProxy: section.text('no_proxy'),
      proxyFromEnvironment: section.isOn('proxy_from_environment', false),
    },
  }
  section.notDone(['proxy_connect_header'])
  section.finish()
  if (oauth2.clientId === '') section.refuse('oauth2 client_id must be configured')
  if (oauth2.tokenUrl === '') section.refuse('oauth2 token_url must be configured')
  return oauth2
}

/** Reads the keys of an HTTP client out of a section that may have others. */
export function readHttpClient(section: Section): HttpClientSettings {
  const basic = section.section('basic_auth')
  const authorization = section.section('authorization')
  const oauth2 = section.section('oauth2')
  const tls = section.section('tls_config')
  const client: HttpClientSettings = {
    ...plainClient,
    proxyUrl: section.text('proxy_url'),
    noProxy: section.text('no_proxy'),
    proxyFromEnvironment: section.isOn('proxy_from_environment', false),
    followRedirects: section.isOn('follow_redirects', true),
    headers: [],
  }
  if (basic !== undefined) {
    client.basicAuth = { username: secret(basic, 'username'), password: secret(basic, 'password') }
    basic.finish()
  }
  if (authorization !== undefined) {
    const type = authorization.text('type', 'Bearer').trim()
    if (type.toLowerCase() === 'basic')
      authorization.refuse('authorization type cannot be set to "basic", use "basic_auth" instead')
    client.authorization = { type, credentials: secret(authorization, 'credentials') }
    authorization.finish()
  }
  const bearer = secret(section, 'bearer_token')
  if (bearer.isSet) {
    if (client.authorization !== undefined)
      section.refuse('authorization is not compatible with bearer_token & bearer_token_file')
    client.authorization = { type: 'Bearer', credentials: bearer }
  }
  if (oauth2 !== undefined) client.oauth2 = readOauth2(oauth2)
  if ([client.basicAuth, client.authorization, client.oauth2].filter(way => way !== undefined).length > 1)
    section.refuse('at most one of basic_auth, oauth2, bearer_token & authorization must be configured')
  if (tls !== undefined) client.tls = readTls(tls)
  if (client.proxyUrl === '' && client.noProxy !== '' && !client.proxyFromEnvironment)
    section.refuse('if no_proxy is configured, proxy_url must also be configured')
  if (client.proxyUrl !== '' && client.proxyFromEnvironment)
    section.refuse('if proxy_from_environment is configured, proxy_url must not be configured')
  for (const [name, setting] of section.get('http_headers')?.entries() ?? []) {
    const header = setting.section()
    client.headers.push([
      name,
      [
        ...header.texts('values').map(text => new Secret(text)),
        ...header.texts('secrets').map(text => new Secret(text)),
        ...header.texts('files').map(file => new Secret('', file)),
      ],
    ])
    header.finish()
  }
  section.notDone(['proxy_connect_header'])
  // HTTP/1.1 is understood by everybody who speaks HTTP/2.
  section.ignore('enable_http2')
  return client
}
