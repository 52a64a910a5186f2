// The linear memories of all instances that are made after this module was imported.

export const memories = [];

const { Instance } = WebAssembly;
WebAssembly.Instance = function watched(...args) {
  const instance = new Instance(...args);
  for (const exported of Object.values(instance.exports)) if (exported instanceof WebAssembly.Memory) memories.push(exported);
  return instance;
};
