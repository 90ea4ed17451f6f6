/** `tercet healthcheck`: is the process on this host ready? */
import type { Config } from '#app/config.ts'
import { maskUrls } from '#core/secret.ts'
import { configFlag, readQuietly } from './configuration.ts'
import { makeVerb } from './verb.ts'

export const healthcheck = makeVerb({
  name: 'healthcheck',
  summary:
    'Asks the process that was started with the same configuration whether it is ready; exit code 0 when it is. ' +
    'For probes without a shell.',
  flags: [
    configFlag,
    { name: 'url', kind: 'address', help: 'Asks this whole address, and not /-/ready of the configured one.' },
    { name: 'timeout', kind: 'duration', fallback: '3s', help: 'How long an answer may take.' },
  ],
  configuration: 'taken',
  examples: [
    'tercet healthcheck',
    'tercet healthcheck --listen.http=127.0.0.1:9000',
    'tercet healthcheck --url=http://127.0.0.1:8428/health --timeout=1s   # alive, if not ready',
  ],
  run(given) {
    return isAnswered(given.optional('url') ?? readyUrl(readQuietly(given)), given.durationMs('timeout'))
  },
})

/** A process that listens on all addresses is asked on the loopback one; without TLS where listen.health is open. */
function readyUrl(config: Config): string {
  const health = config.text('listen.health')
  const isPlain = health !== 'off' || config.text('tls.cert_file') === ''
  const [, host = '', port = '8428'] = /^(.*):(\d+)$/.exec(health === 'off' ? config.text('listen.http') : health) ?? []
  const asked = ['', '0.0.0.0', '[::]'].includes(host) ? '127.0.0.1' : host
  return `${isPlain ? 'http' : 'https'}://${asked}:${port}/-/ready`
}

/** 0 when the answer is 200. Certificates are not checked: the process is on this host. */
async function isAnswered(url: string, timeoutMs: number): Promise<number> {
  const { request } = url.startsWith('https:') ? await import('node:https') : await import('node:http')
  return new Promise(resolve => {
    const fail = (reason: string): void => {
      process.stderr.write(`tercet: ${maskUrls(reason)}\n`)
      resolve(1)
    }
    const asked = request(url, { timeout: timeoutMs, rejectUnauthorized: false }, reply => {
      reply.resume()
      if (reply.statusCode === 200) resolve(0)
      else fail(`${url} answered ${reply.statusCode ?? 0}`)
    })
    asked.on('timeout', () => {
      asked.destroy(new Error(`no answer within ${timeoutMs / 1000} s`))
    })
    asked.on('error', error => {
      fail(`${url} can't be reached: ${error.message}`)
    })
    asked.end()
  })
}
