// Builds the npm packages from binaries and tests them. Run by pack.

import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from './test.mjs';

const [folder, ...binaries] = process.argv.slice(2);
if (binaries.length === 0) {
  console.error('usage: packaging/npm/pack FOLDER BINARY...');
  process.exit(2);
}

const root = path.join(import.meta.dirname, '../..');
const manifest = JSON.parse(fs.readFileSync(path.join(import.meta.dirname, 'package.json')));
const version = /^version = "(.+)"$/m.exec(fs.readFileSync(path.join(root, 'Cargo.toml')))[1];
const repository = process.env.GITHUB_REPOSITORY;

/** Writes a package and packs it as npm does; returns its manifest and its file. */
function pack(content, fields, files) {
  const all = { ...fields, version, license: manifest.license };
  if (repository) {
    all.repository = { type: 'git', url: `git+https://github.com/${repository}.git` };
    // The MCP registry verifies ownership of the package by this name.
    all.mcpName = `io.github.${repository.split('/')[0]}/${manifest.name}`;
  }
  const place = path.join(content, fields.name);
  fs.mkdirSync(place);
  fs.writeFileSync(path.join(place, 'package.json'), `${JSON.stringify(all, null, 2)}\n`);
  for (const [name, source] of Object.entries({ ...files, LICENSE: path.join(root, 'LICENSE') })) {
    fs.mkdirSync(path.dirname(path.join(place, name)), { recursive: true });
    fs.copyFileSync(source, path.join(place, name));
    fs.chmodSync(path.join(place, name), name.startsWith('bin/') || name === 'launcher.js' ? 0o755 : 0o644);
  }
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', folder, place];
  const [{ filename }] = Object.values(JSON.parse(execFileSync('npm', args, { encoding: 'utf8' })));
  const file = path.join(folder, filename);
  console.log(`${file} ${fs.statSync(file).size} bytes`);
  return { manifest: all, file };
}

const content = fs.mkdtempSync(path.join(os.tmpdir(), 'npm-'));
fs.mkdirSync(folder, { recursive: true });
try {
  const platforms = binaries.map((binary) => {
    const printed = execFileSync(path.join(root, 'packaging/platform'), [binary], { encoding: 'utf8' });
    const [system, architecture] = printed.trim().split(' ');
    const file = system === 'win32' ? `${manifest.name}.exe` : manifest.name;
    const fields = {
      name: `${manifest.name}-${system}-${architecture}`,
      description: `The binary of ${manifest.name} for ${system}, ${architecture}`,
      os: [system],
      cpu: [architecture],
    };
    return pack(content, fields, { [`bin/${file}`]: binary });
  });
  const optionalDependencies = Object.fromEntries(platforms.map(({ manifest: { name } }) => [name, version]));
  const files = {
    'launcher.js': path.join(import.meta.dirname, 'launcher.js'),
    'README.md': path.join(root, 'packaging/package.md'),
  };
  const main = pack(content, { ...manifest, optionalDependencies }, files);
  const here = `${manifest.name}-${process.platform}-${process.arch}`;
  if (here in optionalDependencies) await test([main, ...platforms], content);
  else console.log(`not run: there is no binary for ${process.platform}, ${process.arch}`);
} finally {
  fs.rmSync(content, { recursive: true });
}
