/** Where the files of one block are: in the bucket, or staged on the local disk. */
import type { Files } from '#core/files.ts'
import type { Bucket } from '#bucket/bucket.ts'
import type { BlockFiles } from './block-reader.ts'

/** `prefix` ends in a slash. */
export function bucketFiles(bucket: Bucket, prefix: string): BlockFiles {
  return {
    read: name => bucket.get(prefix + name),
    readRange: (name, offset, length, room) => bucket.getRange(prefix + name, offset, length, room),
  }
}

export function localFiles(files: Files, directory: string): BlockFiles {
  return {
    read: name => files.read(`${directory}/${name}`),
    readRange: (name, offset, length) => files.readRange(`${directory}/${name}`, offset, length),
  }
}
