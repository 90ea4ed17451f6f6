#!/usr/bin/env node
/** The command line. */
import { runCli } from './cli.ts'

process.exitCode = await runCli(process.argv.slice(2))
