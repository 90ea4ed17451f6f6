/** Buckets that are read and never changed, whatever goes wrong above them: those of other programs. */
import { DirectoryBucket } from './directory.ts'
import { BucketError, PrefixedBucket } from './bucket.ts'

function refuse(operation: string, description: string): Promise<never> {
  return Promise.reject(new BucketError(operation, description, 'ReadOnly', false))
}

/** Any bucket; whatever would change it fails before anything is sent. */
export class ReadOnlyBucket extends PrefixedBucket {
  override put(): Promise<void> {
    return refuse('put', this.description)
  }
  override putFile(): Promise<void> {
    return refuse('put', this.description)
  }
  override delete(): Promise<void> {
    return refuse('delete', this.description)
  }
}

/** The same of a directory, which is known as one. */
export class ReadOnlyDirectory extends DirectoryBucket {
  override put(): Promise<void> {
    return refuse('put', this.description)
  }
  override putFile(): Promise<void> {
    return refuse('put', this.description)
  }
  override delete(): Promise<void> {
    return refuse('delete', this.description)
  }
}
