/** Who a client is by its certificate: one that was checked against the authorities of the listener. */
import type { Socket } from 'node:net'
import type { PeerCertificate, TLSSocket } from 'node:tls'

export interface ClientCertificate {
  /** In the form of RFC 4514, the most specific part first: `CN=shipper,OU=logs,O=Example`. */
  readonly subject: string
  /** Its alternative names: `DNS:shipper.example.net`, `URI:spiffe://example.net/shipper`, `IP Address:10.0.0.7`. */
  readonly names: readonly string[]
}

/** Undefined without TLS, without a certificate, and for one that no authority of the listener has signed. */
export function clientCertificate(socket: Socket): ClientCertificate | undefined {
  // Connections of HTTP/2 hand out a stand-in for their socket, which is no instance of a class.
  const { authorized, getPeerCertificate } = socket as Partial<TLSSocket>
  if (authorized !== true || getPeerCertificate === undefined) return undefined
  return certificateOf((socket as TLSSocket).getPeerCertificate())
}

/** The subject alone. */
export function clientSubject(socket: Socket): string | undefined {
  return clientCertificate(socket)?.subject
}

/** `peer`: as Node gives it for a connection whose client was checked; without one it is empty. */
export function certificateOf(peer: Partial<PeerCertificate> | undefined): ClientCertificate | undefined {
  if (peer?.raw === undefined) return undefined
  return { subject: subjectOf(peer.subject ?? {}), names: namesOf(peer.subjectaltname ?? '') }
}

/** Types of one name that stand several times are a list. */
function subjectOf(subject: object): string {
  return (Object.entries(subject) as [string, string | string[]][])
    .flatMap(([type, value]) => [value].flat().map(one => `${type}=${escaped(one)}`))
    .toReversed()
    .join(',')
}

/** RFC 4514, section 2.4: what would end a value or look like another one stands behind a backslash. */
function escaped(value: string): string {
  return value
    .replaceAll(/[\\",+<>;=]/g, special => `\\${special}`)
    .replaceAll(/\p{Cc}/gu, control => Buffer.from(control).toString('hex').replaceAll(/../g, '\\$&'))
    .replace(/^[ #]/, first => `\\${first}`)
    .replace(/ $/, '\\ ')
}

/** Node writes `DNS:a, URI:b`, and a name with a comma or a quote in it as a string of JSON. */
function namesOf(text: string): string[] {
  const names: string[] = []
  for (const [, type = '', value = ''] of text.matchAll(/([A-Za-z][A-Za-z ]*):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g))
    names.push(`${type}:${value.startsWith('"') ? String(JSON.parse(value)) : value}`)
  return names
}
