/** Sends remote-write bodies to a server, two at a time. */
import { Agent, request } from 'node:http'

const agent = new Agent({ keepAlive: true, maxSockets: 2 })

function post(url: string, body: Uint8Array): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      {
        method: 'POST',
        agent,
        headers: {
          'content-type': 'application/x-protobuf',
          'content-encoding': 'snappy',
          'x-prometheus-remote-write-version': '0.1.0',
          'content-length': body.length,
        },
      },
      reply => {
        reply.resume()
        reply.on('end', () => {
          resolve(reply.statusCode ?? 0)
        })
      },
    )
    call.on('error', reject)
    call.end(body)
  })
}

/** Sends every body; how many were refused. */
export async function sendBodies(url: string, all: Iterable<Uint8Array>): Promise<number> {
  const queue = all[Symbol.iterator]()
  let refused = 0
  const worker = async (): Promise<void> => {
    for (let next = queue.next(); next.done !== true; next = queue.next())
      if ((await post(url, next.value)) >= 300) refused++
  }
  await Promise.all([worker(), worker()])
  return refused
}

/** Afterwards nothing keeps the process alive. */
export function closeSenders(): void {
  agent.destroy()
}
