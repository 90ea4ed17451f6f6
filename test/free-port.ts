/** Ports for programs that can't be told to take any. */
import { createServer } from 'node:net'

/** Below those from which the system takes the ports of outgoing connections: none of these is in the way later. */
const lowest = 20_000
const highest = 32_000

/** A port of the loopback interface that nobody listens at now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = lowest + Math.floor(Math.random() * (highest - lowest))
    if (await isFree(port)) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => {
      resolve(false)
    })
    server.listen(port, '127.0.0.1', () => {
      server.close(() => {
        resolve(true)
      })
    })
  })
}
