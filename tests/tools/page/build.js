// Builds runtime.js and runtime.wasm in ferlib/train/page/static from the npm packages named in package-lock.json:
//   npm ci && npm run build
// The result is wrapped in a function, so that a page can also start it in a worker made of its source text.
import { copyFileSync } from "node:fs";
import { build } from "esbuild";

// Left out: gradients, methods on tensors, kernels that no network of ours uses, the build with threads.
const unused = /register_all_(gradients|chained_ops|kernels)|wasm-threaded-simd(\.worker)?\.js$/;
const leaveOut = {
  name: "leave-out",
  setup(setup) {
    setup.onResolve({ filter: unused }, ({ path }) => ({ path, namespace: "empty" }));
    setup.onResolve({ filter: /^(node-fetch|util|crypto|fs|path|worker_threads|perf_hooks|os|string_decoder)$/ },
      ({ path }) => ({ path, namespace: "empty" }));
    setup.onLoad({ filter: /.*/, namespace: "empty" }, () => ({
      contents: "export default null; export const wasmWorkerContents = '';", loader: "js",
    }));
  },
};
await build({
  entryPoints: ["entry.js"],
  outfile: "../../../ferlib/train/page/static/runtime.js",
  bundle: true,
  minify: true,
  format: "iife",
  globalName: "tf",
  target: "es2020",
  legalComments: "none", // the licences are in licences.txt
  banner: { js: "// TensorFlow.js 4.22.0 (core, WebAssembly backend), Apache-2.0; built by ferlib/train/page/build\nfunction ferlibRuntime() { let process; // else Node would be taken for the place to run in" },
  footer: { js: "return tf;\n}" },
  plugins: [leaveOut],
});
copyFileSync("node_modules/@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm", "../../../ferlib/train/page/static/runtime.wasm");
