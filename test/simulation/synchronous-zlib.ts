/**
 * Compression on the thread pool ends when it ends; here it ends at once, so that a run depends on nothing but its
 * script. To be imported before anything of `src`.
 */
import { syncBuiltinESMExports } from 'node:module'
import zlib from 'node:zlib'

type Callback = (error: Error | null, result?: Buffer) => void

/** The form that takes a callback, made of the synchronous one. */
function atOnce<Options>(work: (bytes: Uint8Array, options?: Options) => Buffer) {
  return (bytes: Uint8Array, ...rest: [Callback] | [Options, Callback]): void => {
    const callback = rest.at(-1) as Callback
    const options = rest.length === 2 ? (rest[0] as Options) : undefined
    let result: Buffer
    try {
      result = work(bytes, options)
    } catch (error) {
      callback(error as Error)
      return
    }
    callback(null, result)
  }
}

Object.assign(zlib, {
  zstdCompress: atOnce(zlib.zstdCompressSync),
  zstdDecompress: atOnce(zlib.zstdDecompressSync),
  gzip: atOnce(zlib.gzipSync),
  gunzip: atOnce(zlib.gunzipSync),
})
syncBuiltinESMExports()
