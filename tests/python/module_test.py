"""Does the Python module answer as the program does, and leave other threads alone? MOELINE names the program."""

import json
import os
import subprocess
import tempfile
import threading
import time
import unittest

import moeline

TRAIN = {"model": "qwen3-30b-a3b", "hardware": "h200-sxm", "devices": 8, "workload": {"kind": "train", "sequence": 4096}}
LAYER = {"model": "deepseek-v3", "hardware": "gb200-nvl72", "workload": {"kind": "layer", "tokens": 4096}}
TOO_LARGE = {"model": "deepseek-v3", "hardware": "h200-sxm", "devices": 8}
SWEEP = {"scenario": TRAIN, "vary": {"/parallelism/ep": [2, 8], "/workload/sequence": "1024..8192*2"}}


def program(command, question, *flags):
    """What the program prints of a question, and on stderr; the answer's own words, whatever the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "question.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(question, file)
        done = subprocess.run([os.environ["MOELINE"], command, path, *flags], capture_output=True, text=True)
        return done.stdout, done.stderr.replace(path, "scenario")


class Module(unittest.TestCase):
    def test_an_answer_is_the_json_of_the_program(self):
        for command, question in (("train", TRAIN), ("layer", LAYER), ("train", TOO_LARGE)):
            with self.subTest(question):
                answer, printed = moeline.evaluate(question), json.loads(program(command, question, "-o", "json")[0])
                for one in (answer, printed):  # the program goes on to look for what would fit
                    if not one["feasible"]:
                        del one["advice"]
                self.assertEqual(answer, printed)

    def test_what_cannot_run_is_an_answer(self):
        answer = moeline.evaluate(TOO_LARGE)
        self.assertIs(answer["feasible"], False)
        self.assertGreater(answer["need_bytes"], answer["have_bytes"])

    def test_a_sweep_is_the_rows_of_the_program_on_any_number_of_threads(self):
        rows = [json.loads(row) for row in program("sweep", SWEEP, "-o", "json")[0].split("\n") if row]
        self.assertEqual(len(rows), 8)
        for threads in (0, 1, 3):
            self.assertEqual(moeline.sweep(SWEEP, threads=threads), rows)

    def test_bad_input_is_a_value_error_in_the_words_of_the_program(self):
        misspelt = [
            {**TRAIN, "hardware": "h200-sxn"},
            {**TRAIN, "workload": {"kind": "train", "sequnce": 4096}},
            {**TRAIN, "calibration": "missing.json"},
        ]
        for question in misspelt:
            with self.assertRaises(ValueError) as raised:
                moeline.evaluate(question)
            self.assertEqual(f"moeline: {raised.exception}\n", program("train", question)[1])
        for question in ([], {"scenario": TRAIN, "vary": {"/paralelism/ep": [2]}}):
            with self.assertRaisesRegex(ValueError, "^sweep"):
                moeline.sweep(question)

    def test_measurements_are_checked_as_the_program_checks_them(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "gemm.csv")
            with open(path, "w", encoding="utf-8") as file:
                file.write("gpu,framework,fw_version,kernel,dtype,m,n,k,latency_us\n")
                for m in (256, 1024, 4096):
                    file.write(f"h200_sxm,trtllm,1.0,gemm,bfloat16,{m},4096,4096,{100 + m / 10}\n")
            done = subprocess.run([os.environ["MOELINE"], "check", path, "-o", "json"], capture_output=True, text=True)
            self.assertEqual(moeline.check([path]), json.loads(done.stdout))
            with self.assertRaisesRegex(ValueError, "did you mean"):
                moeline.check([path], conditions="stepp")

    def test_measurements_are_fitted_as_the_program_fits_them(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "gemm.csv")
            with open(path, "w", encoding="utf-8") as file:
                file.write("gpu,framework,fw_version,kernel,dtype,m,n,k,latency_us\n")
                for m in range(128, 128 * 15, 128):
                    file.write(f"h200_sxm,trtllm,1.0,gemm,bfloat16,{m},4096,4096,{20 + m / 10}\n")
            pages = moeline.fit([path], source="the test")
            subprocess.run([os.environ["MOELINE"], "fit", path, "--source", "the test", "--write", folder], check=True, capture_output=True)
            with open(os.path.join(folder, "h200-sxm.json"), encoding="utf-8") as file:
                written = json.load(file)["families"]
            self.assertEqual([page.pop("device") for page in pages], ["h200-sxm"])
            self.assertEqual(pages[0]["operation"], written[0]["operation"])
            self.assertEqual(pages[0]["source"], written[0]["source"])

    def test_other_threads_run_during_a_call(self):
        begun, done = threading.Event(), threading.Event()

        def work():
            begun.set()
            moeline.sweep({"scenario": TRAIN, "vary": {"/workload/sequence": "1024..40000+4"}, "mode": "grid"}, threads=1)
            done.set()

        worker = threading.Thread(target=work)
        worker.start()
        begun.wait()
        ticks = 0
        while not done.is_set():
            time.sleep(0.001)
            ticks += 1
        worker.join()
        self.assertGreater(ticks, 20)  # a call that held the lock would leave room for one or two


if __name__ == "__main__":
    unittest.main()
