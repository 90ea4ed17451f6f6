/**
 * The least rights of what runs, as policies that S3 stores take: of each signal's component on its own bucket, and of
 * processes that only read. Nothing here may change a bucket, or see another.
 */
import { BadDataError } from '#core/errors.ts'
import { signals, type SignalName } from '#core/signal-name.ts'

/** Who has keys of its own. `query`: a process with role: query, which reads the buckets of all signals. */
export const components = [...signals, 'query'] as const
export type Component = (typeof components)[number]

export interface PolicyWishes {
  /** The signals that are stored, and where. */
  signals: readonly SignalName[]
  buckets: Readonly<Record<SignalName, string>>
  /** Versions are compared there where the store takes no notice of If-None-Match. */
  isVersioned: boolean
  region: string
  /** As the store names them: `arn:aws:iam::123456789012:user/metrics`. Who has none gets a placeholder. */
  principals: ReadonlyMap<Component, readonly string[]>
}

/** Texts by path: below `bucket/` a policy a bucket, below `user/` one a component. */
export interface Policies {
  files: ReadonlyMap<string, string>
  /** Whose placeholder is in a policy of a bucket. */
  unnamed: readonly Component[]
}

interface Statement {
  Sid: string
  Effect: 'Allow'
  Principal?: { AWS: readonly string[] }
  Action: readonly string[]
  Resource: readonly string[]
}

type Access = 'write' | 'read'

const objectActions: Readonly<Record<Access, readonly string[]>> = {
  // Uploads in parts take PutObject, and one that failed is given up.
  write: ['s3:GetObject', 's3:PutObject', 's3:DeleteObject', 's3:AbortMultipartUpload'],
  read: ['s3:GetObject'],
}

/** Each component in each of its buckets. A signal's component goes before the readers. */
export function makePolicies(wishes: PolicyWishes): Policies {
  const { principals } = wishes
  // Readers are not everywhere: a bucket lets them in when they are named.
  const known = components.filter(component =>
    component === 'query' ? principals.has('query') : wishes.signals.includes(component),
  )
  const files = new Map<string, string>()
  for (const bucket of new Set(wishes.signals.map(signal => wishes.buckets[signal]))) {
    const statements = known
      .filter(component => bucketsOf(component, wishes).includes(bucket))
      .flatMap(component =>
        statementsOf(component, [bucket], wishes).map(statement => ({
          ...statement,
          Principal: { AWS: principals.get(component) ?? [placeholderOf(component)] },
        })),
      )
    files.set(`bucket/${bucket}.json`, shown(statements))
  }
  for (const component of components) {
    const buckets = bucketsOf(component, wishes)
    if (buckets.length > 0) files.set(`user/${component}.json`, shown(statementsOf(component, buckets, wishes)))
  }
  return { files, unnamed: known.filter(component => !principals.has(component)) }
}

/** From `metrics=arn:…`, each as often as wanted. */
export function readPrincipals(given: readonly string[]): Map<Component, string[]> {
  const principals = new Map<Component, string[]>()
  for (const text of given) {
    const [name, arn] = [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]
    const component = components.find(known => known === name)
    if (component === undefined || !/^arn:[^:]*:(iam|sts)::[^:]*:\S+$/.test(arn))
      throw new BadDataError(
        `--principal=${text} is not ${components.join('|')}=ARN, as in metrics=arn:aws:iam::123456789012:user/metrics`,
      )
    principals.set(component, [...(principals.get(component) ?? []), arn])
  }
  return principals
}

/** No store takes it for somebody: the policy is refused as long as it is there. */
const placeholderOf = (component: Component): string => `ARN-OF-${component.toUpperCase()}`

function bucketsOf(component: Component, { buckets, signals: stored }: PolicyWishes): string[] {
  return [...new Set(stored.filter(name => component === 'query' || name === component).map(name => buckets[name]))]
}

function statementsOf(component: Component, buckets: readonly string[], wishes: PolicyWishes): Statement[] {
  const access = component === 'query' ? 'read' : 'write'
  const sid = component.charAt(0).toUpperCase() + component.slice(1)
  const arns = buckets.map(bucket => `arn:${partitionOf(wishes.region)}:s3:::${bucket}`)
  const isComparing = access === 'write' && wishes.isVersioned
  const statements: Statement[] = [
    {
      Sid: `${sid}Bucket`,
      Effect: 'Allow',
      Action: isComparing ? ['s3:ListBucket', 's3:ListBucketVersions'] : ['s3:ListBucket'],
      Resource: arns,
    },
    { Sid: `${sid}Objects`, Effect: 'Allow', Action: objectActions[access], Resource: arns.map(arn => `${arn}/*`) },
  ]
  // The writer's epoch and log, which are put conditionally; versions of data stay out of its reach.
  if (isComparing)
    statements.push({
      Sid: `${sid}Epochs`,
      Effect: 'Allow',
      Action: ['s3:DeleteObjectVersion'],
      Resource: arns.map(arn => `${arn}/*/tercet/*`),
    })
  return statements
}

function partitionOf(region: string): string {
  return region.startsWith('cn-') ? 'aws-cn' : region.startsWith('us-gov-') ? 'aws-us-gov' : 'aws'
}

const shown = (statements: readonly Statement[]): string =>
  `${JSON.stringify({ Version: '2012-10-17', Statement: statements }, null, 2)}\n`
