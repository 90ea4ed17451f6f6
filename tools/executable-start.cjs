/**
 * Where the single executable begins (tools/build-executable.ts): unpacks the package that it has in itself into a
 * directory of the user's, once for each content, and runs the program there. Worker threads, the web interface and
 * the chart are files then, as everywhere.
 */
'use strict'

const { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } = require('node:fs')
const { createRequire } = require('node:module')
const { homedir } = require('node:os')
const { dirname, join } = require('node:path')
const { getAsset, getRawAsset } = require('node:sea')
const { deserialize } = require('node:v8')
const { brotliDecompressSync } = require('node:zlib')

/** `sizes`: bytes of each file by its path. */
const { hash, sizes } = JSON.parse(getAsset('contents', 'utf8'))
const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'tercet')
const directory = join(cache, hash)

function isWhole() {
  const sizeOf = path => statSync(join(directory, path), { throwIfNoEntry: false })?.size
  return Object.entries(sizes).every(([path, bytes]) => sizeOf(path) === bytes)
}

function unpack() {
  mkdirSync(cache, { recursive: true, mode: 0o700 })
  const written = mkdtempSync(join(cache, 'unpacking-'))
  try {
    const whole = join(written, 'whole')
    for (const [path, bytes] of deserialize(brotliDecompressSync(getRawAsset('package')))) {
      mkdirSync(dirname(join(whole, path)), { recursive: true })
      writeFileSync(join(whole, path), bytes)
    }
    give(whole, join(written, 'damaged'))
  } finally {
    rmSync(written, { recursive: true, force: true })
  }
}

/** Of several starts at once one gives its directory the name; the others run from there. */
function give(whole, damaged) {
  if (isWhole()) return
  if (existsSync(directory)) renameSync(directory, damaged)
  try {
    renameSync(whole, directory)
  } catch (error) {
    if (!isWhole()) throw error
  }
}

try {
  if (!isWhole()) unpack()
  createRequire(join(directory, 'bin/tercet.cjs'))('./tercet.cjs')
} catch (error) {
  process.stderr.write(
    `tercet: the program can't be unpacked into ${cache} (${error.message}): ` +
      'name a directory that can be written in XDG_CACHE_HOME\n',
  )
  process.exitCode = 1
}
