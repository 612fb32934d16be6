/** Import this first in tests that need the generated types: makes them when the checkout is fresh. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { generateSchemas } from '../../scripts/generate-schemas.ts';

if (!existsSync(join(import.meta.dirname, '../../dist/schemas.json'))) generateSchemas();
