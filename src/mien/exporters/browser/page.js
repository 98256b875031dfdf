// The page: a photo or the camera in, the face drawn in the style, all of it in this browser.

import * as ort from "./runtime/ort.webgpu.min.mjs";
import { FaceFinder, drawSquare } from "./faces.js";

const MOST_SIDE = 1600, FADE = 0.07; // of the crop: over which the mask fades towards its edges
const part = (id) => document.getElementById(id);
const canvas = part("canvas"), context = canvas.getContext("2d"), video = part("video");
let about, style, finder, source = null, square = null, camera = null, busy = false, again = false;

const say = (text) => { part("status").textContent = text; };

async function load() {
  about = await (await fetch("about.json")).json();
  document.title = part("title").textContent = `mien: ${about.style}`;
  part("license").textContent = `License of the style's weights: ${about.license}.`;
  part("fidelity").value = about.fidelity;
  ort.env.wasm.wasmPaths = new URL("./runtime/", import.meta.url).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency || 1) : 1;
  const adapter = navigator.gpu ? await navigator.gpu.requestAdapter().catch(() => null) : null;
  style = await ort.InferenceSession.create("style.onnx", { executionProviders: adapter ? ["webgpu", "wasm"] : ["wasm"] });
  const landmarks = await ort.InferenceSession.create("landmarks.onnx", { executionProviders: ["wasm"] });
  finder = new FaceFinder(ort, landmarks);
  document.documentElement.dataset.engine = adapter ? "webgpu" : "wasm";
  for (const id of ["choose", "camera"]) part(id).disabled = false;
  say("Ready: drop a photo here.");
}

const crop = { canvas: null, context: null };

// One frame: the image, with the face in its square drawn over it. Returns whether a face was there.
async function draw(image, width, height, place) {
  const size = about.size, plane = size * size;
  if (!crop.canvas) {
    crop.canvas = new OffscreenCanvas(size, size);
    crop.context = crop.canvas.getContext("2d", { willReadFrequently: true });
  }
  let drawn = null;
  if (place) {
    drawSquare(crop.context, image, place, size);
    const pixels = crop.context.getImageData(0, 0, size, size), values = new Float32Array(3 * plane);
    for (let i = 0; i < plane; i++) for (let c = 0; c < 3; c++) values[c * plane + i] = pixels.data[4 * i + c] / 127.5 - 1;
    const one = (id) => new ort.Tensor("float32", new Float32Array([Number(part(id).value)]), [1]);
    const { face, mask } = await style.run({
      image: new ort.Tensor("float32", values, [1, 3, size, size]), strength: one("strength"), fidelity: one("fidelity"),
    });
    for (let i = 0; i < plane; i++) {
      for (let c = 0; c < 3; c++) pixels.data[4 * i + c] = (face.data[c * plane + i] + 1) * 127.5;
      const x = (i % size) / size, y = Math.floor(i / size) / size;
      const edge = Math.min(1, Math.min(x, y, 1 - x, 1 - y) / FADE);
      pixels.data[4 * i + 3] = mask.data[i] * edge * edge * (3 - 2 * edge) * 255;
    }
    crop.context.putImageData(pixels, 0, 0);
    drawn = crop.canvas;
  }
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(image, 0, 0);
  if (drawn) {
    context.imageSmoothingQuality = "high";
    context.translate(place.x, place.y);
    context.rotate(place.angle);
    context.scale(place.side / size, place.side / size);
    context.translate(-size / 2, -size / 2);
    context.drawImage(drawn, 0, 0);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }
  return Boolean(drawn);
}

async function showPhoto(file) {
  stopCamera();
  say("Looking for a face …");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
    const scale = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
    if (scale < 1) bitmap = await createImageBitmap(bitmap, { resizeWidth: Math.round(bitmap.width * scale), resizeHeight: Math.round(bitmap.height * scale), resizeQuality: "high" });
  } catch {
    return say("This file is no image that the browser can read: choose another.");
  }
  source = bitmap;
  square = await finder.find(bitmap, bitmap.width, bitmap.height);
  await redraw();
}

async function redraw() {
  if (!source) return;
  if (busy) { again = true; return; }
  busy = true;
  const began = performance.now();
  const found = await draw(source, source.width, source.height, square);
  part("speed").textContent = found ? `${Math.round(performance.now() - began)} ms` : "";
  say(found ? "" : "No face was found: choose a photo in which one looks towards the camera.");
  part("save").disabled = !found;
  document.documentElement.dataset.done = String(Number(document.documentElement.dataset.done || 0) + 1);
  busy = false;
  if (again) { again = false; await redraw(); }
}

async function startCamera() {
  if (camera) return stopCamera();
  try {
    camera = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
  } catch {
    return say("The camera cannot be used: allow it in the browser, and open the page over https or from localhost.");
  }
  source = null;
  video.srcObject = camera;
  await video.play();
  part("camera").textContent = "Stop the camera";
  say("");
  let place = null, frames = 0, since = performance.now(), pause = 0;
  while (camera) {
    const frame = await createImageBitmap(video);
    if (place) place = await finder.follow(frame, place);
    else if (pause-- <= 0) {
      place = await finder.find(frame, frame.width, frame.height);
      pause = 5; // an empty room is not searched in every frame
    }
    const found = await draw(frame, frame.width, frame.height, place);
    frame.close();
    part("save").disabled = false;
    document.documentElement.dataset.faces = String(Number(document.documentElement.dataset.faces || 0) + Number(found));
    frames++;
    const now = performance.now();
    if (now - since > 1000) {
      part("speed").textContent = `${((frames * 1000) / (now - since)).toFixed(1)} frames a second`;
      [frames, since] = [0, now];
    }
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera() {
  if (!camera) return;
  for (const track of camera.getTracks()) track.stop();
  camera = null;
  part("camera").textContent = "Start the camera";
  part("speed").textContent = "";
}

const place = part("place");
for (const id of ["choose", "place"]) part(id).addEventListener("click", () => finder && part("file").click());
place.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); part("file").click(); } });
part("file").addEventListener("change", (event) => { if (event.target.files[0]) showPhoto(event.target.files[0]); event.target.value = ""; });
place.addEventListener("dragover", (event) => { event.preventDefault(); place.classList.add("over"); });
place.addEventListener("dragleave", () => place.classList.remove("over"));
place.addEventListener("drop", (event) => {
  event.preventDefault();
  place.classList.remove("over");
  if (finder && event.dataTransfer.files[0]) showPhoto(event.dataTransfer.files[0]);
});
part("camera").addEventListener("click", startCamera);
for (const id of ["strength", "fidelity"]) part(id).addEventListener("input", redraw);
part("save").addEventListener("click", () => canvas.toBlob((blob) => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${about.style}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}));
load().catch((error) => say(`The page could not be loaded: ${error.message}`));
