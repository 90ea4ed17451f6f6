/** Configurations of the peers that want a file: their defaults on a local directory, without limits that refuse. */

export interface PeerPorts {
  http: number
  grpc: number
  otlp: number
  gossip: number
}

export const prometheusConfig = 'global: {}\nstorage: { tsdb: { out_of_order_time_window: 10d } }\n'

export const lokiConfig = (directory: string, ports: PeerPorts): string => `
auth_enabled: false
server:
  http_listen_address: 127.0.0.1
  http_listen_port: ${ports.http}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: ${ports.grpc}
  log_level: error
  grpc_server_max_recv_msg_size: 104857600
  grpc_server_max_send_msg_size: 104857600
common:
  instance_addr: 127.0.0.1
  path_prefix: ${directory}/data
  replication_factor: 1
  storage: { filesystem: { chunks_directory: ${directory}/data/chunks, rules_directory: ${directory}/data/rules } }
  ring: { instance_addr: 127.0.0.1, kvstore: { store: inmemory } }
schema_config:
  configs:
    - { from: 2020-10-24, store: tsdb, object_store: filesystem, schema: v13, index: { prefix: index_, period: 24h } }
ingester: { lifecycler: { address: 127.0.0.1, min_ready_duration: 0s } }
frontend: { address: 127.0.0.1 }
query_range: { cache_results: false }
limits_config:
  reject_old_samples: false
  ingestion_rate_mb: 10000
  ingestion_burst_size_mb: 10000
  per_stream_rate_limit: 10GB
  per_stream_rate_limit_burst: 10GB
analytics: { reporting_enabled: false }
`

export const tempoConfig = (directory: string, ports: PeerPorts): string => `
server:
  http_listen_address: 127.0.0.1
  grpc_listen_address: 127.0.0.1
  http_listen_port: ${ports.http}
  grpc_listen_port: ${ports.grpc}
  log_level: error
distributor:
  ring: { instance_addr: 127.0.0.1, kvstore: { store: inmemory } }
  receivers: { otlp: { protocols: { http: { endpoint: '127.0.0.1:${ports.otlp}' } } } }
live_store:
  shutdown_marker_dir: ${directory}/marker
  wal: { path: '${directory}/live', ingestion_time_range_slack: 240h }
block_builder: { wal: { path: '${directory}/builder' } }
backend_scheduler: { local_work_path: '${directory}/work' }
storage:
  trace:
    backend: local
    blocklist_poll: 5s
    local: { path: '${directory}/blocks' }
    wal: { path: '${directory}/wal', ingestion_time_range_slack: 240h }
overrides:
  defaults: { ingestion: { rate_limit_bytes: 1000000000, burst_size_bytes: 1000000000, max_traces_per_user: 0 } }
memberlist: { bind_addr: [127.0.0.1], bind_port: ${ports.gossip} }
usage_report: { reporting_enabled: false }
`
