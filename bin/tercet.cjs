#!/usr/bin/env node
/**
 * The command. This file is JavaScript that old releases of Node read, so that they say what is missing; the program
 * itself is loaded afterwards.
 */
'use strict'

var fs = require('fs')
var path = require('path')
var needed = require('../package.json').engines.node.replace('>=', '')

/** Compares "22.15" with "22.9.0". */
function isAtLeast(version, least) {
  var has = version.split('.')
  var wants = least.split('.')
  for (var i = 0; i < wants.length; i++) if (has[i] !== wants[i]) return Number(has[i]) > Number(wants[i])
  return true
}

/** What this program uses of Node 22, such as its SQLite, is as good there as later, when Node warns no more. */
function warnOfNoExperiments() {
  var emit = process.emitWarning
  process.emitWarning = function (warning, type) {
    if (type !== 'ExperimentalWarning') emit.apply(process, arguments)
  }
}

/** A checkout has the sources, and perhaps an older build of them; a package has the build alone. */
function programPath() {
  var sources = '../src/app/main.ts'
  return fs.existsSync(path.join(__dirname, sources)) ? sources : '../dist/program/main.js'
}

if (isAtLeast(process.versions.node, needed)) {
  if (!isAtLeast(process.versions.node, '26')) warnOfNoExperiments()
  import(programPath())
} else {
  process.stderr.write(
    'tercet: this is Node ' +
      process.versions.node +
      ', and Tercet needs ' +
      needed +
      ' or newer: install a current Node (https://nodejs.org/en/download), and run the same command again.\n',
  )
  process.exitCode = 1
}
