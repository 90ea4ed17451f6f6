/**
 * Names of Services for a process of the mini-kubelet: `HOSTS` is a JSON map of names to addresses. Loaded before
 * everything else.
 */
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

const hosts = JSON.parse(process.env['HOSTS'] ?? '{}') as Record<string, string>
const original = dns.lookup
type Callback = (error: Error | null, address: string | { address: string; family: number }[], family?: number) => void

Object.assign(dns, {
  lookup(name: string, options: unknown, callback?: unknown) {
    const done = (callback ?? options) as Callback
    const address = hosts[name]
    if (address === undefined) return original(name, options as dns.LookupOptions, callback as () => void)
    if (typeof options === 'object' && (options as dns.LookupOptions).all === true) done(null, [{ address, family: 4 }])
    else done(null, address, 4)
    return undefined
  },
})
syncBuiltinESMExports()
