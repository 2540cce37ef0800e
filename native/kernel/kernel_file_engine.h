// SPDX-License-Identifier: Apache-2.0
//
// kernel_file_engine.h - the kernel's engine for a run over a file (user/run_file.h): the loaded program itself, handed one
// packet after the other by BPF_PROG_TEST_RUN, at the packets' own times. Nothing is attached, nothing is sent.
#ifndef SHUNT_KERNEL_KERNEL_FILE_ENGINE_H
#define SHUNT_KERNEL_KERNEL_FILE_ENGINE_H

#include "user/run_file.h"

namespace shunt
{

std::unique_ptr<FileEngine> open_kernel_file_engine(const FileRun &run, std::string *problem);

} // namespace shunt

#endif
