/** Addresses that speak TLS where there is a certificate, by their names below `listen`. */
export const tlsListeners = [
  'http',
  'otlp_http',
  'aliases',
  'otlp_grpc',
  'loki_grpc',
  'grpc_aliases',
  'syslog_tls',
] as const
export type TlsListener = (typeof tlsListeners)[number]
