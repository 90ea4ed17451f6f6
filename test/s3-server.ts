/**
 * An S3 store in the test's own process, with bad days: it counts requests, and answers, refuses, cuts or keeps silent
 * as it is told. Signatures are not checked.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

/** What becomes of a request; undefined: it is answered. */
export type Trouble =
  | { kind: 'silent' }
  | { kind: 'reset' }
  | { kind: 'refuse'; status: number; code: string }
  /** It is done, and the connection ends without a reply. */
  | { kind: 'lose-reply' }
  /** The answer's body ends after so many bytes, or stops there while the connection stays. */
  | { kind: 'cut'; bytes: number; isOpen?: boolean }
  | { kind: 'delay'; ms: number }

export interface S3Request {
  method: string
  /** Without the bucket's name. */
  key: string
  query: URLSearchParams
  /** Of the body that was sent. */
  bytes: number
}

export class S3Server {
  readonly objects = new Map<string, Buffer>()
  readonly requests: S3Request[] = []
  trouble: (request: S3Request) => Trouble | undefined = () => undefined
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  #modifiedMs = 0

  private constructor() {
    this.#server = createServer((request, reply) => {
      void this.#answer(request, reply).catch(() => reply.destroy())
    })
    this.#server.on('connection', socket => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  static async open(): Promise<S3Server> {
    const store = new S3Server()
    await new Promise<void>(resolve => store.#server.listen(0, '127.0.0.1', resolve))
    return store
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Flags of a process that has its data here. */
  get flags(): string[] {
    return [
      `bucket.s3.endpoint=${this.endpoint}`,
      'bucket.s3.bucket=b',
      'bucket.s3.access_key_id=a',
      'bucket.s3.secret_access_key=s',
      'bucket.s3.allow_insecure=true',
    ]
  }

  count(method: string): number {
    return this.requests.filter(request => request.method === method).length
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise(resolve => this.#server.close(resolve))
  }

  async #answer(message: IncomingMessage, reply: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '/', 'http://s3')
    const [, , ...parts] = decodeURIComponent(url.pathname).split('/')
    const pieces: Buffer[] = []
    for await (const piece of message) pieces.push(piece as Buffer)
    const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0)
    const request = { method: message.method ?? '', key: parts.join('/'), query: url.searchParams, bytes }
    this.requests.push(request)
    const trouble = this.trouble(request)
    if (trouble?.kind === 'silent') return
    if (trouble?.kind === 'reset') return void message.socket.resetAndDestroy()
    if (trouble?.kind === 'refuse') return refuse(reply, trouble.status, trouble.code)
    if (trouble?.kind === 'delay') await new Promise(resolve => setTimeout(resolve, trouble.ms))
    const range = /bytes=(\d+)-(\d+)/.exec(message.headers.range ?? '')
    const answer = this.#do(request, Buffer.concat(pieces), message.headers['if-none-match'] === '*', range)
    if (trouble?.kind === 'lose-reply') return void message.socket.destroy()
    if (answer.code !== undefined) return refuse(reply, answer.status, answer.code)
    const body = answer.body ?? Buffer.alloc(0)
    reply.writeHead(answer.status, {
      'content-length': answer.length ?? body.length,
      etag: '"e"',
      'last-modified': new Date(0).toUTCString(),
    })
    if (trouble?.kind !== 'cut' || body.length <= trouble.bytes) return void reply.end(body)
    reply.write(body.subarray(0, trouble.bytes), () => {
      if (trouble.isOpen !== true) message.socket.destroy()
    })
  }

  #do(
    { method, key, query }: S3Request,
    sent: Buffer,
    ifAbsent: boolean,
    range: RegExpExecArray | null,
  ): { status: number; body?: Buffer; length?: number; code?: string } {
    if (method === 'GET' && key === '') return { status: 200, body: Buffer.from(this.#list(query)) }
    if (method === 'PUT') {
      if (ifAbsent && this.objects.has(key)) return { status: 412, code: 'PreconditionFailed' }
      this.objects.set(key, sent)
      return { status: 200 }
    }
    if (method === 'DELETE') {
      this.objects.delete(key)
      return { status: 204 }
    }
    const found = this.objects.get(key)
    if (found === undefined) return { status: 404, code: 'NoSuchKey' }
    if (method === 'HEAD') return { status: 200, length: found.length }
    if (range === null) return { status: 200, body: found }
    const from = Number(range[1])
    if (from >= found.length) return { status: 416, code: 'InvalidRange' }
    return { status: 206, body: found.subarray(from, Number(range[2]) + 1) }
  }

  #list(query: URLSearchParams): string {
    const prefix = query.get('prefix') ?? ''
    const delimiter = query.get('delimiter') ?? ''
    const keys = [...this.objects.keys()].filter(key => key.startsWith(prefix)).sort()
    const directories = new Set<string>()
    let contents = ''
    for (const key of keys) {
      const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
      if (end >= 0) directories.add(key.slice(0, end + 1))
      else
        contents +=
          `<Contents><Key>${escaped(key)}</Key><Size>${this.objects.get(key)!.length}</Size>` +
          `<LastModified>${new Date(this.#modifiedMs).toISOString()}</LastModified></Contents>`
    }
    const common = [...directories].map(d => `<CommonPrefixes><Prefix>${escaped(d)}</Prefix></CommonPrefixes>`).join('')
    return (
      '<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>' +
      `${contents}${common}</ListBucketResult>`
    )
  }
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')

function refuse(reply: ServerResponse, status: number, code: string): void {
  reply.writeHead(status, { 'content-type': 'application/xml' })
  reply.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`)
}
