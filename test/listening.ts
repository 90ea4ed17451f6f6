/** Servers of tests, on ports that the system chooses. */
import type { AddressInfo, Server } from 'node:net'

/** Listens on this machine alone; the port. */
export function listening(server: Server): Promise<number> {
  return new Promise(resolve => {
    server.listen(0, '127.0.0.1', () => {
      resolve((server.address() as AddressInfo).port)
    })
  })
}
