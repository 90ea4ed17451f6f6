#!/usr/bin/env node
/** The command line. */
import { enableCompileCache } from 'node:module'
import { compileCacheDirectory, isBuilt } from './version.ts'

// What was compiled once is not compiled again: a start takes less time and memory.
if (!isBuilt) enableCompileCache(compileCacheDirectory)
const { runCli } = await import('#cli/run.ts')
process.exitCode = await runCli(process.argv.slice(2))
