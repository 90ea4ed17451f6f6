/** Addresses for syslog, by their names below `listen`. */
export const syslogListeners = ['syslog_tcp', 'syslog_tls', 'syslog_udp'] as const
export type SyslogListenerName = (typeof syslogListeners)[number]
