/** `tercet deploy …`: trees of files, sealed secrets, buckets, plans. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseDocument } from 'yaml'
import { systemClock } from '#core/clock.ts'
import { BadDataError, CorruptDataError } from '#core/errors.ts'
import { systemRandom } from '#core/random.ts'
import type { SealSecret } from '#deploy/flux.ts'
import { render } from '#deploy/render.ts'
import {
  identitiesIn,
  readSopsConfig,
  ruleForPath,
  seal,
  secretProblems,
  secretRule,
  unseal,
  type SealRule,
} from '#deploy/sops.ts'
import { engines, readStack, targets, type Stack } from '#deploy/stack.ts'
import { yamlText, type FileTree } from '#deploy/tree.ts'
import { noMoreFlags, takeFlag, type Arguments } from './arguments.ts'

export const deployHelp = `tercet deploy: what the stack is deployed with, from one file (stack.yaml; docs/deploying.md).

  tercet deploy render --engine=tercet|victoria|lgtm --target=helm|flux|compose|grafana [--config=stack.yaml] [--secrets=secrets.yaml] -o DIR
  tercet deploy seal [--recipient=age1… …] FILE…      encrypts in place, by .sops.yaml or for the recipients named
  tercet deploy unseal FILE                           prints in clear; SOPS_AGE_KEY or SOPS_AGE_KEY_FILE open it
  tercet deploy check-secrets [FILE…]                 exit code 1 where a Secret is in clear; for a pre-commit hook. No file: all below here
  tercet deploy bootstrap-s3 --config=stack.yaml --access-key-id-file=F --secret-access-key-file=F    makes the buckets
  tercet deploy migrate --from=kube-prometheus-stack|lgtm|victoria [--config=stack.yaml]              the plan for replacing it
  tercet deploy graduate --url=http://127.0.0.1:8428 [--config=stack.yaml] -o DIR                     to Mimir, Loki and Tempo on the same buckets

  tercet deploy render --engine=tercet --target=flux --config=stack.yaml -o .
`

const out = (text: string): void => {
  process.stdout.write(text)
}
const err = (text: string): void => {
  process.stderr.write(text)
}

export function readStackFile(flags: string[], engine?: string): { stack: Stack; text: string } {
  const path = takeFlag(flags, 'config') ?? (existsSync('stack.yaml') ? 'stack.yaml' : undefined)
  const text = path === undefined ? '' : readFileSync(path, 'utf8')
  return { stack: readStack(text, path ?? 'stack.yaml', engine), text }
}

/** Those that sops looks for. */
export function systemIdentities(): string[] {
  const { SOPS_AGE_KEY: key = '', SOPS_AGE_KEY_FILE: file = '' } = process.env
  return [...identitiesIn(key), ...(file === '' ? [] : identitiesIn(readFileSync(file, 'utf8')))]
}

const chartDirectory = fileURLToPath(new URL('../../deploy/chart', import.meta.url))

/** Every file below a directory, by path. */
export function readTree(directory: string): FileTree {
  const tree: FileTree = new Map()
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true }).sort((a, b) =>
    join(a.parentPath, a.name) < join(b.parentPath, b.name) ? -1 : 1,
  )) {
    if (entry.isFile()) {
      const path = join(entry.parentPath, entry.name)
      tree.set(relative(directory, path), readFileSync(path, 'utf8'))
    }
  }
  return tree
}

export function ownChart(): FileTree {
  return readTree(chartDirectory)
}

/** Keys of Secrets in clear: `{ loki-s3-secret: { S3_ACCESS_KEY_ID: …, S3_SECRET_ACCESS_KEY: … } }`. Never rendered as they are. */
function readSecrets(path: string | undefined): Record<string, Record<string, string>> {
  if (path === undefined) return {}
  const value = parse(readFileSync(path, 'utf8')) as unknown
  if (typeof value !== 'object' || value === null)
    throw new BadDataError(
      `${path}: a map of Secrets was expected: { name: { S3_ACCESS_KEY_ID: …, S3_SECRET_ACCESS_KEY: … } }`,
    )
  for (const [name, keys] of Object.entries(value)) {
    const missing = ['S3_ACCESS_KEY_ID', 'S3_SECRET_ACCESS_KEY'].find(
      key => typeof (keys as Record<string, unknown> | null)?.[key] !== 'string',
    )
    if (missing !== undefined) throw new BadDataError(`${path}: ${name} has no text ${missing}`)
  }
  return value as Record<string, Record<string, string>>
}

/** Seals new keys; without them keeps what the tree has already. */
function sealerFor(stack: Stack, directory: string, secretsPath: string | undefined): SealSecret {
  const secrets = readSecrets(secretsPath),
    identities = systemIdentities()
  return async (path, name) => {
    const file = join(directory, path),
      there = existsSync(file) ? readFileSync(file, 'utf8') : undefined,
      keys = secrets[name]
    if (keys === undefined || stack.ageRecipients.length === 0) return there
    const clear = yamlText({ apiVersion: 'v1', kind: 'Secret', metadata: { name }, type: 'Opaque', stringData: keys })
    return seal(
      clear,
      secretRule(stack.ageRecipients),
      { random: systemRandom, nowMs: systemClock.nowMs() },
      there === undefined ? undefined : { text: there, identities },
    )
  }
}

/** Names the files of the last render: what is not in the next one goes, and what was never in it is somebody else's. */
const manifestName = '.tercet-rendered'

function manifestOf(directory: string): string[] {
  const manifest = join(directory, manifestName)
  return existsSync(manifest)
    ? readFileSync(manifest, 'utf8')
        .split('\n')
        .filter(line => line !== '')
    : []
}

/** Applications of others in the namespace stay in its kustomization.yaml, and its namespace.yaml as it is. */
function withOthers(directory: string, tree: FileTree, namespacePath: string): void {
  const before = new Set(manifestOf(directory)),
    list = `${namespacePath}/kustomization.yaml`,
    namespace = `${namespacePath}/namespace.yaml`
  if (existsSync(join(directory, namespace)) && !before.has(namespace)) tree.delete(namespace)
  if (!existsSync(join(directory, list))) return
  const document = parseDocument(readFileSync(join(directory, list), 'utf8')),
    theirs = document.toJS() as { resources?: string[] } | null,
    resources = theirs?.resources ?? []
  const named = (resource: string): string => `${namespacePath}/${resource.replace(/^\.\//, '')}`,
    ours = (parse(tree.get(list) ?? '') as { resources: string[] }).resources
  const isOurs = (resource: string): boolean =>
    before.has(named(resource)) || ours.includes(resource) || ours.includes(`./${resource}`)
  const others = resources.filter(resource => !isOurs(resource))
  if (others.length === 0 && !/#/.test(document.toString())) return
  const kept = resources.filter(
      resource => !before.has(named(resource)) || ours.some(own => named(own) === named(resource)),
    ),
    missing = ours.filter(own => !kept.some(resource => named(resource) === named(own)))
  // Item by item, so that comments stay.
  for (let i = resources.length - 1; i >= 0; i--) if (!kept.includes(resources[i]!)) document.deleteIn(['resources', i])
  for (const own of missing) document.addIn(['resources'], own)
  tree.set(list, document.toString({ lineWidth: 0 }))
}

/** A directory below `root`, and those that hold it, as far as nothing is in them any more. */
function removeEmpty(root: string, path: string): void {
  for (let at = path; at !== '.' && at !== ''; at = dirname(at)) {
    const directory = join(root, at)
    if (!existsSync(directory)) continue
    if (readdirSync(directory).length > 0) return
    rmdirSync(directory)
  }
}

/** Throws BadDataError where a file of somebody else's would be written over. */
export function writeTree(
  directory: string,
  tree: FileTree,
  shared: readonly string[] = [],
): { written: number; removed: number } {
  const before = manifestOf(directory)
  let written = 0,
    removed = 0
  const changed = [...tree].filter(([path, text]) => {
    const file = join(directory, path)
    return !existsSync(file) || readFileSync(file, 'utf8') !== text
  })
  const foreign = changed
    .filter(([path]) => existsSync(join(directory, path)) && !before.includes(path) && !shared.includes(path))
    .map(([path]) => path)
  if (foreign.length > 0)
    throw new BadDataError(
      `${foreign.join(', ')} in ${directory} is not of an earlier render (${manifestName}); move it away, or render somewhere else`,
    )
  for (const [path, text] of changed) {
    const file = join(directory, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
    written++
  }
  // Nothing outside of the directory, whatever somebody wrote into the list.
  for (const path of before)
    if (
      !tree.has(path) &&
      !shared.includes(path) &&
      !relative(resolve(directory), resolve(directory, path)).startsWith('..')
    ) {
      rmSync(join(directory, path), { force: true })
      removeEmpty(directory, dirname(path))
      removed++
    }
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, manifestName), `${[...tree.keys()].sort().join('\n')}\n`)
  return { written, removed }
}

async function renderVerb({ flags, words }: Arguments): Promise<number> {
  const engine = takeFlag(flags, 'engine'),
    targetText = takeFlag(flags, 'target'),
    target = targets.find(t => t === targetText),
    directory = takeFlag(flags, 'o') ?? takeFlag(flags, 'output'),
    secretsPath = takeFlag(flags, 'secrets')
  const { stack, text } = readStackFile(flags, engine)
  noMoreFlags(flags, 'deploy render')
  if (words.length > 0) throw new BadDataError(`deploy render takes no ${words[0]!}`)
  if (target === undefined)
    throw new BadDataError(
      `deploy render: --target is one of ${targets.join(', ')}, and --engine one of ${engines.join(', ')}`,
    )
  if (directory === undefined) throw new BadDataError('deploy render: name where to: -o DIR')
  const { tree, warnings } = await render({
    stack,
    target,
    ownChart: ownChart(),
    seal: sealerFor(stack, directory, secretsPath),
    configText: text,
  })
  const namespacePath = `${stack.root.replace(/\/+$/, '')}/${stack.namespace}`
  if (target === 'flux') withOthers(directory, tree, namespacePath)
  const { written, removed } = writeTree(
    directory,
    tree,
    target === 'flux' ? [`${namespacePath}/kustomization.yaml`, `${namespacePath}/namespace.yaml`] : [],
  )
  for (const { name, text: sentence } of warnings) err(`warning ${name}: ${sentence}\n`)
  out(
    `${tree.size} files for ${stack.engine} as ${target} in ${directory}: ${written} written, ${tree.size - written} as they were${removed === 0 ? '' : `, ${removed} of before removed`}\n`,
  )
  return 0
}

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

async function sealVerb({ flags, words }: Arguments): Promise<number> {
  const recipients: string[] = []
  for (let next = takeFlag(flags, 'recipient'); next !== undefined; next = takeFlag(flags, 'recipient'))
    recipients.push(...next.split(','))
  noMoreFlags(flags, 'deploy seal')
  if (words.length === 0) throw new BadDataError('deploy seal takes files')
  for (const file of words) {
    const sealed = await seal(readFileSync(file, 'utf8'), ruleFor(file, recipients), {
      random: systemRandom,
      nowMs: systemClock.nowMs(),
    })
    writeFileSync(file, sealed)
    out(`sealed ${file}\n`)
  }
  return 0
}

async function unsealVerb({ flags, words }: Arguments): Promise<number> {
  noMoreFlags(flags, 'deploy unseal')
  const [file] = words
  if (file === undefined || words.length > 1) throw new BadDataError('deploy unseal takes one file')
  try {
    out(await unseal(readFileSync(file, 'utf8'), systemIdentities()))
    return 0
  } catch (error) {
    if (!(error instanceof CorruptDataError)) throw error
    err(`tercet: ${file}: ${error.message}\n`)
    return 1
  }
}

async function checkSecretsVerb({ flags, words }: Arguments): Promise<number> {
  noMoreFlags(flags, 'deploy check-secrets')
  const below = (directory: string): string[] =>
    readdirSync(directory, { withFileTypes: true }).flatMap(entry =>
      entry.name === '.git' || entry.name === 'node_modules'
        ? []
        : entry.isDirectory()
          ? below(join(directory, entry.name))
          : [join(directory, entry.name)],
    )
  const files = (words.length === 0 ? ['.'] : words)
      .flatMap(path => (statSync(path).isDirectory() ? below(path) : [path]))
      .filter(path => /\.ya?ml$/.test(path)),
    identities = systemIdentities()
  let wrong = 0
  for (const file of files) {
    const text = readFileSync(file, 'utf8'),
      problems = await secretProblems(text, identities)
    if (/.\.sops\.ya?ml$/.test(basename(file)) && !/^sops:/m.test(text))
      problems.push('the name says that it is sealed, and it is not')
    for (const problem of new Set(problems)) {
      err(`${file}: ${problem}\n`)
      wrong++
    }
  }
  if (wrong === 0) out(`${files.length} files: no Secret is in clear\n`)
  return wrong === 0 ? 0 : 1
}

export async function runDeploy(args: Arguments): Promise<number> {
  const [verb, ...words] = args.words,
    rest = { ...args, words }
  switch (verb) {
    case 'render':
      return renderVerb(rest)
    case 'seal':
      return sealVerb(rest)
    case 'unseal':
      return unsealVerb(rest)
    case 'check-secrets':
      return checkSecretsVerb(rest)
    case 'bootstrap-s3':
      return (await import('./bucket-admin.ts')).bootstrapVerb(rest)
    case 'migrate':
      return (await import('./migrate.ts')).migrateVerb(rest)
    case 'graduate':
      return (await import('./graduate.ts')).graduateVerb(rest)
    default:
      throw new BadDataError(
        `deploy knows render, seal, unseal, check-secrets, bootstrap-s3, migrate and graduate${verb === undefined ? '' : `, not ${JSON.stringify(verb)}`}`,
      )
  }
}
