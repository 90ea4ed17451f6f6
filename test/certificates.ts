/** An authority for tests, and certificates that it signed, by openssl. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** `skip` of a test that needs certificates. */
export const hasOpenssl = {
  skip: spawnSync('openssl', ['version']).status === 0 ? false : 'NOT TESTED: openssl is not installed',
} as const

const ellipticKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Writes `ca.pem`, and `<name>.pem` and `<name>.key` of each name, for these hosts: `IP:127.0.0.1,DNS:localhost`. */
export function makeCertificates(directory: string, names: readonly string[], hosts: string): void {
  const openssl = (...parameters: string[]): void => {
    const run = spawnSync('openssl', parameters, { cwd: directory, encoding: 'utf8' })
    assert.equal(run.status, 0, run.stderr)
  }
  const subject = ['-subj', '/CN=test authority', '-days', '2']
  openssl('req', '-x509', ...ellipticKey, '-keyout', 'ca.key', '-out', 'ca.pem', ...subject)
  writeFileSync(join(directory, 'san'), `subjectAltName=${hosts}`)
  for (const name of names) {
    const [key, request, certificate] = [`${name}.key`, `${name}.csr`, `${name}.pem`]
    openssl('req', ...ellipticKey, '-keyout', key, '-out', request, '-subj', `/CN=${name}`)
    const signer = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial']
    openssl('x509', '-req', '-in', request, ...signer, '-out', certificate, '-days', '2', '-extfile', 'san')
  }
}

/** Of `makeCertificates`, as texts. */
export function certificateOf(directory: string, name: string): { ca: string; cert: string; key: string } {
  const read = (file: string): string => readFileSync(join(directory, file), 'utf8')
  return { ca: read('ca.pem'), cert: read(`${name}.pem`), key: read(`${name}.key`) }
}
