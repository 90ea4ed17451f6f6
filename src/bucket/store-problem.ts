/** What a store's refusal means, in words: what was refused, and what to do. For an administrator, not for retries. */
import type { S3Client } from '@aws-sdk/client-s3'
import { maskUrl, maskUrls } from '#core/secret.ts'
import { codeOf } from './failure-code.ts'

/** What was asked of which store, as far as it is known. */
export interface StoreQuestion {
  endpoint: string
  region: string
  bucket: string
  /** The store's clock less ours; undefined where nothing answered. */
  skewMs?: number | undefined
  /** The right that the request takes: `s3:PutObject`. */
  right?: string | undefined
}

export interface Problem {
  found: string
  advice: string
}

/** By command of the SDK: the right that it takes, as policies write it. */
const rights: Readonly<Record<string, string>> = {
  AbortMultipartUploadCommand: 's3:AbortMultipartUpload',
  CompleteMultipartUploadCommand: 's3:PutObject',
  CreateBucketCommand: 's3:CreateBucket',
  CreateMultipartUploadCommand: 's3:PutObject',
  DeleteObjectCommand: 's3:DeleteObject',
  GetBucketLifecycleConfigurationCommand: 's3:GetLifecycleConfiguration',
  GetBucketVersioningCommand: 's3:GetBucketVersioning',
  GetObjectCommand: 's3:GetObject',
  GetObjectLockConfigurationCommand: 's3:GetBucketObjectLockConfiguration',
  HeadBucketCommand: 's3:ListBucket',
  ListBucketsCommand: 's3:ListAllMyBuckets',
  ListObjectVersionsCommand: 's3:ListBucketVersions',
  ListObjectsV2Command: 's3:ListBucket',
  PutBucketLifecycleConfigurationCommand: 's3:PutLifecycleConfiguration',
  PutBucketVersioningCommand: 's3:PutBucketVersioning',
  PutObjectCommand: 's3:PutObject',
  UploadPartCommand: 's3:PutObject',
}

/** Remembers of each refusal which right its request takes: the store says only AccessDenied. */
export class RefusedRights {
  readonly #rights = new WeakMap<Error, string>()

  watch(client: S3Client): void {
    client.middlewareStack.add(
      (next, context) => async args => {
        try {
          return await next(args)
        } catch (error) {
          const isOfVersion = 'VersionId' in args.input && args.input.VersionId !== undefined
          const right = rights[String(context.commandName)]
          if (error instanceof Error && right !== undefined && isDenied(error))
            this.#rights.set(error, isOfVersion && right === 's3:DeleteObject' ? 's3:DeleteObjectVersion' : right)
          throw error
        }
      },
      { step: 'initialize' },
    )
  }

  /** Undefined where the error is no refusal of a right. */
  of(error: unknown): string | undefined {
    return error instanceof Error ? this.#rights.get(error) : undefined
  }
}

/** The keys are known to the store, and may not do this. An answer to HEAD has no code. */
export function isDenied(error: unknown): boolean {
  const { code, status } = codeOf(error)
  return code === 'AccessDenied' || (status === 403 && !keyProblems.has(code))
}

/** Codes of a refusal that is not about rights. */
const keyProblems: ReadonlyMap<string, Problem> = new Map([
  [
    'InvalidAccessKeyId',
    {
      found: 'the store does not know the access key (InvalidAccessKeyId)',
      advice: 'is it a key of this store, and of this endpoint? bucket.s3.access_key_id, or the file of it',
    },
  ],
  [
    'SignatureDoesNotMatch',
    {
      found: 'the secret does not belong to the access key (SignatureDoesNotMatch)',
      advice: 'copy both again, without a line break at the end: bucket.s3.secret_access_key, or the file of it',
    },
  ],
])

const skewCodes = new Set(['RequestTimeTooSkewed', 'RequestExpired'])
const regionCodes = new Set([
  'AuthorizationHeaderMalformed',
  'PermanentRedirect',
  'IllegalLocationConstraintException',
  'InvalidLocationConstraint',
  'InvalidRegion',
])
const unknownAuthority = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
])
const silences = new Set(['ETIMEDOUT', 'TimeoutError', 'EHOSTUNREACH', 'ENETUNREACH'])

/** One sentence of what was refused, one of what to do. */
export function problemOf(error: unknown, question: StoreQuestion): Problem {
  const { code, status } = codeOf(error)
  return (
    keyProblems.get(code) ??
    clockProblem(code, question) ??
    transportProblem(error, code, question) ??
    bucketProblem(error, code, status, question)
  )
}

function clockProblem(code: string, { skewMs }: StoreQuestion): Problem | undefined {
  if (!skewCodes.has(code)) return undefined
  const far =
    skewMs === undefined
      ? "differs too much from the store's"
      : `is ${Math.round(Math.abs(skewMs) / 1000)} s ${skewMs > 0 ? 'behind' : 'ahead of'} the store's`
  return {
    found: `the store refuses the signature's time (${code}): this machine's clock ${far}`,
    advice: 'set the clocks by NTP: signatures more than 15 minutes off are refused',
  }
}

/** What failed before the store could answer. */
function transportProblem(error: unknown, code: string, question: StoreQuestion): Problem | undefined {
  const endpoint = maskUrl(question.endpoint)
  const message = error instanceof Error ? error.message : ''
  const isPlain = endpoint.startsWith('http://')
  if (unknownAuthority.has(code))
    return {
      found: `the certificate of ${endpoint} is signed by nobody that this machine trusts (${code})`,
      advice: 'start with NODE_EXTRA_CA_CERTS=FILE, the PEM certificate of its authority, or have it signed by another',
    }
  if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID')
    return {
      found: `the certificate of ${endpoint} is not valid now (${code})`,
      advice: "renew it; or is this machine's clock off?",
    }
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID')
    return { found: `the certificate is for another host: ${message}`, advice: 'use a name that is in the certificate' }
  if (!isPlain && (code === 'EPROTO' || code.startsWith('ERR_SSL')))
    return {
      found: `${endpoint} does not speak TLS (${code})`,
      advice: 'is the port right? A store without TLS takes http:// and bucket.s3.allow_insecure: true',
    }
  const isTlsAnswer = /HTTP request.*(HTTPS|SSL|TLS)/is.test(message) || code === 'HPE_INVALID_CONSTANT'
  if (isPlain && (code === 'ECONNRESET' || code === 'EPIPE' || isTlsAnswer))
    return {
      found: `${endpoint} ends the connection without an answer (${code})`,
      advice: 'it may speak TLS: use https:// in bucket.s3.endpoint',
    }
  if (code === 'ECONNREFUSED')
    return { found: `nobody listens at ${endpoint} (${code})`, advice: 'is bucket.s3.endpoint right, with its port?' }
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return {
      found: `the name of the store is not known: ${message}`,
      advice: 'is bucket.s3.endpoint right? Without path style the bucket is a part of the name: bucket.s3.path_style',
    }
  if (silences.has(code))
    return {
      found: `${endpoint} does not answer (${code})`,
      advice: 'is bucket.s3.endpoint right, and may this machine reach it?',
    }
  return undefined
}

function bucketProblem(error: unknown, code: string, status: number | undefined, question: StoreQuestion): Problem {
  const { bucket, region, right } = question
  if (status === 404 || code === 'NoSuchBucket')
    return {
      found: `there is no bucket ${bucket} (${code})`,
      advice: 'tercet deploy bootstrap-s3 makes it, with credentials of an administrator',
    }
  if (code === 'BucketAlreadyExists')
    return { found: `the bucket ${bucket} is somebody else's (${code})`, advice: 'take another name in s3.buckets' }
  if (regionCodes.has(code) || status === 301 || status === 400)
    return {
      found: `the store wants another region than ${region} (${reasonOf(error)})`,
      advice: "set bucket.s3.region to the bucket's own",
    }
  if (isDenied(error))
    return {
      found: `the key may not do this with ${bucket} (AccessDenied${right === undefined ? '' : `; it takes ${right}`})`,
      advice: 'the policies that tercet deploy bootstrap-s3 --policies=DIR writes have what each component needs',
    }
  return { found: reasonOf(error), advice: 'is bucket.s3.endpoint right, and reachable from here?' }
}

/** The store's code, with its message where that says more. */
export function reasonOf(error: unknown): string {
  const { code } = codeOf(error)
  const hasMessage = error instanceof Error && error.message !== '' && error.message !== code
  return hasMessage ? `${code}: ${maskUrls(error.message)}` : code
}
