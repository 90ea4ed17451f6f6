/** What a failed request to a store says. No SDK is loaded for it: a start without S3 has none. */

/** The store's error code and HTTP status, as far as there are any; or the network's. */
export function codeOf(error: unknown): { code: string; status: number | undefined } {
  if (!(error instanceof Error)) return { code: 'unknown', status: undefined }
  const metadata = '$metadata' in error ? (error.$metadata as { httpStatusCode?: number }) : undefined
  const code = 'code' in error && typeof error.code === 'string' ? error.code : error.name
  return { code, status: metadata?.httpStatusCode }
}
