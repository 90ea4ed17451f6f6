/** The reader of each request, and the warning of an answer that lacks something: in a header, whatever its format. */
import type { Omissions } from '#core/omissions.ts'
import type { Handler, HttpRequest } from './route-table.ts'
import { warningHeader } from './warning-header.ts'

export class RequestReaders<Reader extends { readonly omissions: Omissions }> {
  readonly #make: (request: HttpRequest) => Reader
  readonly #onIncomplete: () => void
  readonly #readers = new WeakMap<HttpRequest, Reader>()

  /** `onIncomplete`: called for every answer that lacks something. */
  constructor(make: (request: HttpRequest) => Reader, onIncomplete: () => void = () => {}) {
    this.#make = make
    this.#onIncomplete = onIncomplete
  }

  /** The same reader as often as a request asks for one. */
  of(request: HttpRequest): Reader {
    let reader = this.#readers.get(request)
    if (reader === undefined) this.#readers.set(request, (reader = this.#make(request)))
    return reader
  }

  /** A handler whose replies say what they lack. */
  noting(handler: Handler): Handler {
    return async request => {
      const reply = await handler(request)
      const warning = this.#readers.get(request)?.omissions.text()
      if (warning === undefined) return reply
      this.#onIncomplete()
      return { ...reply, headers: { ...reply.headers, ...warningHeader(warning) } }
    }
  }
}
