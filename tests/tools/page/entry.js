// What reader.js needs of TensorFlow.js: the operations of our networks, run by its WebAssembly backend.
import {
  add, avgPool, concat, elu, env, fused, leakyRelu, max, maxPool, mean, memory, mul, pad, ready, relu, relu6,
  reshape, setBackend, sigmoid, softmax, tanh, tensor, tidy, image, registerKernel,
} from "@tensorflow/tfjs-core";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import { _fusedMatMulConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/_FusedMatMul";
import { addConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Add";
import { avgPoolConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/AvgPool";
import { castConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Cast";
import { concatConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Concat";
import { eluConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Elu";
import { fusedConv2DConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/FusedConv2D";
import { fusedDepthwiseConv2DConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/FusedDepthwiseConv2D";
import { identityConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Identity";
import { leakyReluConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/LeakyRelu";
import { maxConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Max";
import { maxPoolConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/MaxPool";
import { meanConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Mean";
import { multiplyConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Multiply";
import { padV2Config } from "@tensorflow/tfjs-backend-wasm/dist/kernels/PadV2";
import { reluConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Relu";
import { relu6Config } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Relu6";
import { reshapeConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Reshape";
import { resizeBilinearConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/ResizeBilinear";
import { resizeNearestNeighborConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/ResizeNearestNeighbor";
import { sigmoidConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Sigmoid";
import { softmaxConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Softmax";
import { tanhConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Tanh";
import { transposeConfig } from "@tensorflow/tfjs-backend-wasm/dist/kernels/Transpose";

for (const kernel of [
  _fusedMatMulConfig, addConfig, avgPoolConfig, castConfig, concatConfig, eluConfig, fusedConv2DConfig,
  fusedDepthwiseConv2DConfig, identityConfig, leakyReluConfig, maxConfig, maxPoolConfig, meanConfig, multiplyConfig,
  padV2Config, reluConfig, relu6Config, reshapeConfig, resizeBilinearConfig, resizeNearestNeighborConfig,
  sigmoidConfig, softmaxConfig, tanhConfig, transposeConfig,
]) registerKernel(kernel);

const { resizeBilinear, resizeNearestNeighbor } = image;
const { conv2d, depthwiseConv2d, matMul } = fused;

/** Start the WebAssembly backend from the bytes of its module: no request is made. */
async function start(bytes) {
  env().platform.fetch = async () => ({ ok: true, arrayBuffer: async () => bytes });
  setWasmPaths("", true);
  env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // the build with threads is left out
  if (!(await env().getAsync("WASM_HAS_SIMD_SUPPORT"))) throw new Error("this browser has no WebAssembly SIMD");
  if (!(await setBackend("wasm"))) throw new Error("WebAssembly did not start");
  await ready();
}

export {
  add, avgPool, concat, conv2d, depthwiseConv2d, elu, leakyRelu, matMul, max, maxPool, mean, memory, mul, pad,
  relu, relu6, reshape, resizeBilinear, resizeNearestNeighbor, sigmoid, softmax, start, tanh, tensor, tidy,
};
