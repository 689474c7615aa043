/* An extension of freeDiameter: every ME-Identity-Check request (S13) is answered by "blacklisted". The dictionary
   has of the application what such a request and its answer need. */

#include <freeDiameter/extension.h>

enum { VENDOR = 10415, S13 = 16777252, BLACKLISTED = 1 };

static struct dict_object *equipment_status, *auth_session_state;

static int define(enum dict_object_type type, void *data, struct dict_object *parent, struct dict_object **object) {
    CHECK_FCT(fd_dict_new(fd_g_config->cnf_dict, type, data, parent, object));
    return 0;
}

static int avp(char *name, avp_code_t code, enum dict_avp_basetype base, struct dict_object *type,
               struct dict_object **object) {
    uint8_t flags = AVP_FLAG_VENDOR | AVP_FLAG_MANDATORY;
    struct dict_avp_data data = {code, VENDOR, name, flags, flags, base};
    return define(DICT_AVP, &data, type, object);
}

static int named(const char *name, struct dict_object **object) {
    CHECK_FCT(fd_dict_search(fd_g_config->cnf_dict, DICT_AVP, AVP_BY_NAME, name, object, ENOENT));
    return 0;
}

static int answer(struct msg **msg, struct avp *avp, struct session *session, void *data, enum disp_action *action) {
    union avp_value status = {.i32 = BLACKLISTED}, stateless = {.i32 = 1};
    struct avp *one;
    (void)avp, (void)session, (void)data;
    CHECK_FCT(fd_msg_new_answer_from_req(fd_g_config->cnf_dict, msg, 0));
    CHECK_FCT(fd_msg_avp_new(auth_session_state, 0, &one));
    CHECK_FCT(fd_msg_avp_setvalue(one, &stateless));
    CHECK_FCT(fd_msg_avp_add(*msg, MSG_BRW_LAST_CHILD, one));
    CHECK_FCT(fd_msg_avp_new(equipment_status, 0, &one));
    CHECK_FCT(fd_msg_avp_setvalue(one, &status));
    CHECK_FCT(fd_msg_avp_add(*msg, MSG_BRW_LAST_CHILD, one));
    CHECK_FCT(fd_msg_rescode_set(*msg, "DIAMETER_SUCCESS", NULL, NULL, 1));
    *action = DISP_ACT_SEND;
    return 0;
}

static int entry(char *unused) {
    struct dict_vendor_data vendor = {VENDOR, "3GPP"};
    struct dict_application_data application = {S13, "3GPP S13"};
    struct dict_object *maker, *app, *request, *reply, *string, *imei, *terminal;
    struct disp_when when = {0};
    (void)unused;
    if (fd_dict_search(fd_g_config->cnf_dict, DICT_VENDOR, VENDOR_BY_ID, &vendor.vendor_id, &maker, ENOENT))
        CHECK_FCT(define(DICT_VENDOR, &vendor, NULL, &maker));
    CHECK_FCT(define(DICT_APPLICATION, &application, maker, &app));
    struct dict_cmd_data command = {324, "ME-Identity-Check-Request", CMD_FLAG_REQUEST | CMD_FLAG_PROXIABLE,
                                    CMD_FLAG_REQUEST | CMD_FLAG_PROXIABLE};
    CHECK_FCT(define(DICT_COMMAND, &command, app, &request));
    command.cmd_name = "ME-Identity-Check-Answer";
    command.cmd_flag_val = CMD_FLAG_PROXIABLE;
    CHECK_FCT(define(DICT_COMMAND, &command, app, &reply));
    CHECK_FCT(fd_dict_search(fd_g_config->cnf_dict, DICT_TYPE, TYPE_BY_NAME, "UTF8String", &string, ENOENT));
    CHECK_FCT(avp("IMEI", 1402, AVP_TYPE_OCTETSTRING, string, &imei));
    CHECK_FCT(avp("Terminal-Information", 1401, AVP_TYPE_GROUPED, NULL, &terminal));
    CHECK_FCT(avp("Equipment-Status", 1445, AVP_TYPE_INTEGER32, NULL, &equipment_status));
    CHECK_FCT(named("Auth-Session-State", &auth_session_state));
    when.app = app;
    when.command = request;
    CHECK_FCT(fd_disp_register(answer, DISP_HOW_CC, &when, NULL, NULL));
    CHECK_FCT(fd_disp_app_support(app, maker, 1, 0));
    return 0;
}

EXTENSION_ENTRY("fd_constant", entry);
