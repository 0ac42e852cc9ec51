/* SPDX-License-Identifier: MIT */
/* stack/conf_help.c - The list of options for people */
#include "base/units.h"
#include "dev/netdev.h"
#include "stack/conf_priv.h"

#include <string.h>

static void default_text(char buf[CONF_VALUE_TEXT_MAX], const struct conf_option *o)
{
        if (o->kind == OPT_KIND_LIST)
                strcpy(buf, "none");
        else
                conf_value_text(buf, o, o->dflt);
}

static void range_text(char *buf, size_t size, const struct conf_option *o)
{
        char min[CONF_VALUE_TEXT_MAX], max[CONF_VALUE_TEXT_MAX];

        if (o->kind == OPT_KIND_LIST || o->kind == OPT_KIND_CHOICE)
                snprintf(buf, size, "%s", o->words);
        else if (o->kind == OPT_KIND_BOOL)
                snprintf(buf, size, "yes|no");
        else
                snprintf(buf, size, "%s..%s", conf_value_text(min, o, o->min), conf_value_text(max, o, o->max));
}

/* A "|" would end a cell. */
static void cell(FILE *out, const char *text)
{
        fputs(" `", out);
        for (; *text; text++)
                fputs(*text == '|' ? "\\|" : (char[]){ *text, '\0' }, out);
        fputs("` |", out);
}

static void help_markdown(FILE *out)
{
        fprintf(out, "| option | default | range | meaning |\n|---|---|---|---|\n");
        for (uint32_t i = 0; i < conf_option_cnt; i++) {
                const struct conf_option *o = &conf_options[i];
                char dflt[CONF_VALUE_TEXT_MAX], range[80];
                default_text(dflt, o);
                range_text(range, sizeof range, o);
                fputc('|', out);
                cell(out, o->name);
                cell(out, dflt);
                cell(out, range);
                fprintf(out, " %s |\n", o->help);
        }
}

static void help_plain(FILE *out)
{
        fprintf(out, "Options of the stack (--NAME VALUE, MILLRACE_NAME=VALUE, or `name = VALUE` in --conf FILE):\n");
        for (uint32_t i = 0; i < conf_option_cnt; i++) {
                const struct conf_option *o = &conf_options[i];
                char dflt[CONF_VALUE_TEXT_MAX], range[80], flag[40];
                default_text(dflt, o);
                range_text(range, sizeof range, o);
                snprintf(flag, sizeof flag, "--%s", o->name);
                for (char *c = flag; *c; c++)
                        *c = *c == '_' ? '-' : *c;
                fprintf(out, "  %-22s %s\n  %-22s   %s%s%s%s\n", flag, o->help, "", range,
                        o->kind == OPT_KIND_LIST ? "" : " (", o->kind == OPT_KIND_LIST ? "" : dflt,
                        o->kind == OPT_KIND_LIST ? "" : ")");
        }
        fprintf(out, "\nDevices:\n");
        for (const struct netdev_ops *const *ops = netdev_list; *ops; ops++)
                fprintf(out, "  %-22s %s\n", (*ops)->scheme, (*ops)->help);
}

void mr_conf_help(FILE *out, bool markdown)
{
        if (markdown)
                help_markdown(out);
        else
                help_plain(out);
}
