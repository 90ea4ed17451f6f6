/** Sealed Secrets in files: `tercet deploy seal`, `unseal`, `check-secrets`, and the Secrets of a render. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { parse } from 'yaml'
import { systemClock } from '#core/clock.ts'
import { BadDataError } from '#core/errors.ts'
import { systemRandom } from '#core/random.ts'
import type { SealSecret } from '#deploy/flux.ts'
import type { SecretSpec } from '#deploy/release.ts'
import { identitiesIn, seal, secretProblems } from '#deploy/sops.ts'
import { readSopsConfig, ruleForPath } from '#deploy/sops-config.ts'
import { secretRule, type SealRule } from '#deploy/sops-rule.ts'
import type { Stack } from '#deploy/stack.ts'
import { yamlText } from '#deploy/tree.ts'
import type { Output } from './output.ts'

/** The age identities that sops looks for. */
export function systemIdentities(): string[] {
  const { SOPS_AGE_KEY: key = '', SOPS_AGE_KEY_FILE: file = '' } = process.env
  return [...identitiesIn(key), ...(file === '' ? [] : identitiesIn(readFileSync(file, 'utf8')))]
}

/** In clear: `{ loki-s3-secret: { S3_ACCESS_KEY_ID: ..., S3_SECRET_ACCESS_KEY: ... } }`. */
type ClearSecrets = Readonly<Record<string, Readonly<Record<string, string>>>>

function isMapOfTexts(value: unknown): value is Record<string, string> {
  return typeof value === 'object' && value !== null && Object.values(value).every(text => typeof text === 'string')
}

/** Throws BadDataError. */
function readSecrets(path: string): ClearSecrets {
  const value = parse(readFileSync(path, 'utf8')) as unknown
  if (typeof value !== 'object' || value === null)
    throw new BadDataError(
      `${path}: a map of Secrets was expected: { name: { S3_ACCESS_KEY_ID: …, S3_SECRET_ACCESS_KEY: … } }`,
    )
  const secrets: Record<string, Record<string, string>> = {}
  for (const [name, keys] of Object.entries(value)) {
    if (!isMapOfTexts(keys)) throw new BadDataError(`${path}: ${name} is no map of keys and texts`)
    secrets[name] = keys
  }
  return secrets
}

/** What is given for a Secret, or what stack.yaml itself has of it. Throws BadDataError where a key is missing. */
function contentOf(secret: SecretSpec, given: ClearSecrets, path: string): Record<string, string> | undefined {
  const content = given[secret.name] ?? secret.content
  const missing = content === undefined ? undefined : secret.keys.find(key => content[key] === undefined)
  if (missing !== undefined) throw new BadDataError(`${path}: ${secret.name} has no text ${missing}`)
  return content
}

/** Seals the Secrets of `secretsPath`; a Secret that is not in it stays as the directory has it already. */
export function sealerFor(stack: Stack, directory: string, secretsPath: string | undefined): SealSecret {
  const secrets = secretsPath === undefined ? {} : readSecrets(secretsPath)
  const identities = systemIdentities()
  return async (path, secret) => {
    const file = join(directory, path)
    const there = existsSync(file) ? readFileSync(file, 'utf8') : undefined
    const stringData = contentOf(secret, secrets, secretsPath ?? 'stack.yaml')
    if (stringData === undefined || stack.ageRecipients.length === 0) return there
    const { name } = secret
    const clear = yamlText({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, type: 'Opaque', stringData })
    return seal(
      clear,
      secretRule(stack.ageRecipients),
      { random: systemRandom, nowMs: systemClock.nowMs() },
      there === undefined ? undefined : { text: there, identities },
    )
  }
}

/** By the recipients, or else by the nearest .sops.yaml above the file. Throws BadDataError. */
function ruleFor(file: string, recipients: readonly string[]): SealRule {
  if (recipients.length > 0) return secretRule(recipients)
  for (let directory = dirname(resolve(file)); ; directory = dirname(directory)) {
    const config = join(directory, '.sops.yaml')
    if (existsSync(config)) {
      const rule = ruleForPath(readSopsConfig(readFileSync(config, 'utf8')), relative(directory, resolve(file)))
      if (rule === undefined) throw new BadDataError(`${file}: no creation_rule of ${config} fits`)
      return rule
    }
    if (dirname(directory) === directory)
      throw new BadDataError(`${file}: no .sops.yaml says for whom; name --recipient=age1…`)
  }
}

/** Encrypts files in place. */
export async function sealFiles(
  files: readonly string[],
  recipients: readonly string[],
  { out }: Output,
): Promise<void> {
  for (const file of files) {
    const world = { random: systemRandom, nowMs: systemClock.nowMs() }
    writeFileSync(file, await seal(readFileSync(file, 'utf8'), ruleFor(file, recipients), world))
    out(`sealed ${file}`)
  }
}

/** Files below a directory, but for .git and node_modules; or the file itself. */
function filesAt(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path, { withFileTypes: true })
    .filter(entry => entry.name !== '.git' && entry.name !== 'node_modules')
    .flatMap(entry => (entry.isDirectory() ? filesAt(join(path, entry.name)) : [join(path, entry.name)]))
}

/** Looks for Secrets in clear in YAML files, and in those of directories; 1 where there is one. */
export async function checkSecrets(paths: readonly string[], { out, err }: Output): Promise<number> {
  const files = paths.flatMap(filesAt).filter(path => /\.ya?ml$/.test(path))
  const identities = systemIdentities()
  let problemCount = 0
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
    const problems = new Set(await secretProblems(text, identities))
    if (/.\.sops\.ya?ml$/.test(basename(file)) && !/^sops:/m.test(text))
      problems.add('the name says that it is sealed, and it is not')
    for (const problem of problems) err(`${file}: ${problem}`)
    problemCount += problems.size
  }
  if (problemCount === 0) out(`${files.length} files: no Secret is in clear`)
  return problemCount === 0 ? 0 : 1
}
