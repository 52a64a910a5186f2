// What is imported as `guest-tls`: the module `tls`, with all the names that Node's has.

import tls from './tls.mjs';

export { tls as default, tls as 'module.exports' };
export * from './tls.mjs';

/** Mozilla's roots, PEM (row M10). A name that is imported has to have its value now: `tls.rootCertificates` reads them when it is asked. */
export const { rootCertificates } = tls;
