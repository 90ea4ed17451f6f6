/** DNS as discovery asks it. */
import { resolve4, resolve6, resolveMx, resolveNs, resolveSrv } from 'node:dns/promises'

export const systemResolver = {
  srv: (name: string): Promise<{ name: string; port: number }[]> => resolveSrv(name),
  addresses: (name: string, family: 4 | 6): Promise<string[]> => (family === 4 ? resolve4(name) : resolve6(name)),
  mx: async (name: string): Promise<string[]> => (await resolveMx(name)).map(r => r.exchange),
  ns: (name: string): Promise<string[]> => resolveNs(name),
}
