/**
 * Where the API of the cluster is that the process runs in, and with which credentials. Source: the public
 * documentation of service accounts.
 */
import { BadDataError } from '#core/errors.ts'
import { maskUrls, noSecret, Secret } from '#core/secret.ts'
import { quote } from '#core/text.ts'
import { plainClient, type HttpClientSettings } from '#lang/settings/http-client.ts'
import { parseSettings, type Section } from '#lang/settings/section.ts'
import type { DiscoveryWorld } from './discovery.ts'

const accountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'

/** `KUBERNETES_SERVICE_ACCOUNT_DIR` is for tests and for processes beside a cluster. */
export function serviceAccountDirectory(env: DiscoveryWorld['env']): string {
  return env['KUBERNETES_SERVICE_ACCOUNT_DIR'] ?? accountDirectory
}

const objectName = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/

/** What the API may be asked for: names stand in paths, where `../` would lead to other objects. RFC 1123. */
export function isObjectName(name: string): boolean {
  return name.length <= 253 && objectName.test(name)
}

/** The API of the cluster that the process runs in, with its service account; undefined outside of a cluster. */
export function inCluster(env: DiscoveryWorld['env']): { apiServer: string; client: HttpClientSettings } | undefined {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? ''
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443'
  if (host === '') return undefined
  const directory = serviceAccountDirectory(env)
  // A cluster's API has TLS; what has none says so itself.
  const scheme = env['KUBERNETES_SERVICE_SCHEME'] ?? 'https'
  return {
    apiServer: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    client: {
      ...plainClient,
      authorization: { type: 'Bearer', credentials: new Secret('', `${directory}/token`) },
      tls:
        scheme === 'https'
          ? {
              ca: new Secret('', `${directory}/ca.crt`),
              cert: noSecret,
              key: noSecret,
              serverName: '',
              isUnverified: false,
              minVersion: '',
              maxVersion: '',
            }
          : undefined,
    },
  }
}

/** The API that a configuration names, else the cluster's own. Throws BadDataError outside of a cluster. */
export function accessOf(
  apiServer: string,
  client: HttpClientSettings,
  env: DiscoveryWorld['env'],
): { apiServer: string; client: HttpClientSettings } {
  if (apiServer !== '') return { apiServer: apiServer.replace(/\/+$/, ''), client }
  return (
    inCluster(env) ??
    (() => {
      throw new BadDataError(
        'kubernetes_sd_configs: no api_server is named, and the process does not run in a cluster ' +
          '(KUBERNETES_SERVICE_HOST is not set)',
      )
    })()
  )
}

/**
 * `-data` is the content in base64; without it a file is named, which may change. Paths begin at the file's own
 * directory.
 */
function part(section: Section, name: string, directory: string): Secret {
  const data = section.text(`${name}-data`)
  const file = section.text(name)
  if (data !== '') return new Secret(Buffer.from(data, 'base64').toString('utf8'))
  return new Secret('', file === '' || file.startsWith('/') ? file : `${directory}/${file}`)
}

/**
 * The cluster and the user of a kubeconfig's current context. Throws BadDataError. Source: the public documentation
 * of kubeconfig files.
 */
export function readKubeconfig(source: string, path: string): { apiServer: string; client: HttpClientSettings } {
  const top = parseSettings(source, path).section()
  const named = (list: string, name: string, key: string): Section => {
    for (const setting of top.list(list)) {
      const entry = setting.section()
      if (entry.text('name') === name) return entry.section(key) ?? top.refuse(`${list}: ${quote(name)} has no ${key}`)
    }
    return top.refuse(`${list}: there is no ${quote(name)}`)
  }
  const current = top.text('current-context')
  if (current === '') top.refuse('current-context is not set')
  const context = named('contexts', current, 'context')
  const cluster = named('clusters', context.text('cluster'), 'cluster')
  const userName = context.text('user')
  const user = userName === '' ? undefined : named('users', userName, 'user')
  for (const name of ['exec', 'auth-provider'])
    if (user?.has(name) === true)
      top.refuse(
        `user ${quote(userName)} takes its credentials from ${name}, which is not done; name a token, a file ` +
          'with one, or certificates',
      )
  const apiServer = cluster.text('server')
  if (!URL.canParse(apiServer))
    top.refuse(`cluster ${quote(context.text('cluster'))}: server ${quote(maskUrls(apiServer))} is no URL`)
  const directory = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.'
  const token =
    user === undefined
      ? noSecret
      : user.text('tokenFile') === ''
        ? new Secret(user.text('token'))
        : new Secret('', user.text('tokenFile'))
  const username = user?.text('username') ?? ''
  return {
    apiServer: apiServer.replace(/\/+$/, ''),
    client: {
      ...plainClient,
      proxyUrl: cluster.text('proxy-url'),
      authorization: token.isSet ? { type: 'Bearer', credentials: token } : undefined,
      basicAuth:
        username === '' ? undefined : { username: new Secret(username), password: new Secret(user!.text('password')) },
      tls: apiServer.startsWith('https:')
        ? {
            ca: part(cluster, 'certificate-authority', directory),
            cert: user === undefined ? noSecret : part(user, 'client-certificate', directory),
            key: user === undefined ? noSecret : part(user, 'client-key', directory),
            serverName: cluster.text('tls-server-name'),
            isUnverified: cluster.isOn('insecure-skip-tls-verify', false),
            minVersion: '',
            maxVersion: '',
          }
        : undefined,
    },
  }
}
