/** Loki as it comes: defaults, but for addresses, places, the age of lines, and the pattern ingester. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { RealServer } from '../question.ts'
import { startProgram } from '../real-program.ts'

const configOf = (httpPort: number, grpcPort: number): string => `
auth_enabled: false
server:
  http_listen_address: 127.0.0.1
  http_listen_port: ${httpPort}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: ${grpcPort}
  log_level: error
common:
  instance_addr: 127.0.0.1
  path_prefix: data
  replication_factor: 1
  storage: { filesystem: { chunks_directory: data/chunks, rules_directory: data/rules } }
  ring: { instance_addr: 127.0.0.1, kvstore: { store: inmemory } }
schema_config:
  configs:
    - { from: 2020-10-24, store: tsdb, object_store: filesystem, schema: v13, index: { prefix: index_, period: 24h } }
ingester: { lifecycler: { address: 127.0.0.1, min_ready_duration: 0s } }
frontend: { address: 127.0.0.1 }
pattern_ingester: { enabled: true }
limits_config: { reject_old_samples: false }
analytics: { reporting_enabled: false }
`

export async function startLoki(directory: string): Promise<RealServer | undefined> {
  const program = await startProgram({
    name: 'loki',
    directory,
    ports: 2,
    args: ports => {
      const path = join(directory, 'loki.yaml')
      writeFileSync(path, configOf(ports[0]!, ports[1]!))
      return [`-config.file=${path}`]
    },
    readyPath: '/ready',
  })
  if (program === undefined) return undefined
  const reply = await fetch(`${program.url}/loki/api/v1/status/buildinfo`)
  const { version } = (await reply.json()) as { version: string }
  return {
    url: program.url,
    version,
    origin: `loki -config.file=loki.yaml: ${configOf(3100, 9095).trim()}`,
    stop: () => program.stop(),
  }
}
