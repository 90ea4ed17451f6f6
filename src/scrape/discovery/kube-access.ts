/** Where the API of the cluster is that the process runs in, and with which credentials. Source: the public documentation of service accounts. */
import { BadDataError } from '#core/errors.ts'
import { plainClient, type HttpClientSettings } from '#lang/settings/http-client.ts'
import type { DiscoveryWorld } from './discovery.ts'

const accountDirectory = '/var/run/secrets/kubernetes.io/serviceaccount'

/** `KUBERNETES_SERVICE_ACCOUNT_DIR` is for tests and for processes beside a cluster. */
export function serviceAccountDirectory(env: DiscoveryWorld['env']): string { return env['KUBERNETES_SERVICE_ACCOUNT_DIR'] ?? accountDirectory }

export function inCluster(env: DiscoveryWorld['env']): { apiServer: string; client: HttpClientSettings } | undefined {
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '', port = env['KUBERNETES_SERVICE_PORT'] ?? '443'
  if (host === '') return undefined
  const directory = serviceAccountDirectory(env), none = { text: '', file: '' }
  // A cluster's API has TLS; what has none says so itself.
  const scheme = env['KUBERNETES_SERVICE_SCHEME'] ?? 'https'
  return {
    apiServer: `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    client: {
      ...plainClient, authorization: { type: 'Bearer', credentials: { text: '', file: `${directory}/token` } },
      tls: scheme === 'https' ? { ca: { text: '', file: `${directory}/ca.crt` }, cert: none, key: none, serverName: '', isUnverified: false, minVersion: '', maxVersion: '' } : undefined,
    },
  }
}

export function accessOf(apiServer: string, client: HttpClientSettings, env: DiscoveryWorld['env']): { apiServer: string; client: HttpClientSettings } {
  if (apiServer !== '') return { apiServer: apiServer.replace(/\/+$/, ''), client }
  return inCluster(env) ?? (() => { throw new BadDataError('kubernetes_sd_configs: no api_server is named, and the process does not run in a cluster (KUBERNETES_SERVICE_HOST is not set)') })()
}
