/** Who writes the files of blocks: this thread, or one that works beside it. */
import type { Files } from '#core/files.ts'
import type { Bucket } from '#bucket/bucket.ts'
import { bucketFiles, localFiles } from './block-files.ts'
import type { BlockMeta } from './block-meta.ts'
import { BlockReader } from './block-reader.ts'
import type { HeadColumns } from './head-columns.ts'
import { mergeBlocks, writeRange, type MergedBlock, type WrittenRange } from './merge.ts'

/** A block that is to be merged: its files are in the bucket, or in a directory. */
export interface BlockToMerge {
  meta: BlockMeta
  directory: string | undefined
}

/** Both write into a directory that is not there yet. All questions and answers can be cloned. */
export interface BlockBuilding {
  /** The columns of a range that was cut become a block. `transfer`: memory that may be handed over. */
  writeRange(directory: string, columns: HeadColumns, transfer: ArrayBuffer[]): Promise<WrittenRange>
  /** Blocks become one. Throws what reading them throws. */
  merge(directory: string, tenant: string, blocks: readonly BlockToMerge[]): Promise<MergedBlock>
}

export interface BuildingWorld {
  files: Files
  bucket: Bucket
  /** Lets other work run. */
  pause: () => Promise<void>
}

/** Builds in this thread. */
export class LocalBuilding implements BlockBuilding {
  readonly #world: BuildingWorld

  constructor(world: BuildingWorld) {
    this.#world = world
  }

  writeRange(directory: string, columns: HeadColumns): Promise<WrittenRange> {
    return writeRange(this.#world.files, directory, columns, this.#world.pause)
  }

  merge(directory: string, tenant: string, blocks: readonly BlockToMerge[]): Promise<MergedBlock> {
    const { files, bucket, pause } = this.#world
    const readers = blocks.map(({ meta, directory: own }) => {
      const place = own === undefined ? bucketFiles(bucket, `${tenant}/${meta.ulid}/`) : localFiles(files, own)
      return new BlockReader(meta, place, own)
    })
    return mergeBlocks(files, directory, readers, pause)
  }
}
