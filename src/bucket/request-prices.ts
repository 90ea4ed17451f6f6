/** What requests to an object store cost. */
import { bucketOperations, requestOutcomes, type BucketOperation, type RequestCounts } from './store-requests.ts'

/** Dollars a million, as AWS takes them for S3 Standard in us-east-1. Storage, and traffic out, cost apart. */
export const dollarsPerMillion: Readonly<Record<BucketOperation, number>> = {
  put: 5,
  list: 5,
  get: 0.4,
  head: 0.4,
  delete: 0,
}

const monthSeconds = 30 * 86_400

/** Requests by what they do; each attempt is one. */
export type RequestSums = Record<BucketOperation, number>

export function sumsOf(counts: RequestCounts): RequestSums {
  const sums: RequestSums = { put: 0, get: 0, head: 0, list: 0, delete: 0 }
  for (const operation of bucketOperations)
    for (const outcome of requestOutcomes) sums[operation] += counts.count(operation, outcome)
  return sums
}

/** What a month costs where it goes on as in these seconds. */
export function dollarsAMonth(sums: Readonly<RequestSums>, seconds: number): number {
  if (seconds <= 0) return 0
  const dollars = bucketOperations.reduce((sum, operation) => sum + sums[operation] * dollarsPerMillion[operation], 0)
  return (dollars / 1e6) * (monthSeconds / seconds)
}
